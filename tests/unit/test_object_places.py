"""The URL of a place in an object store says where it is, and never holds a key."""

from __future__ import annotations

import pytest

from orchestrator import address
from orchestrator.errors import UsageError
from orchestrator.object_stores.endpoints import endpoint_of
from orchestrator.object_stores.places import Place, Service, parsed


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket/studies/one", Place(Service.S3, "", "bucket", "studies/one")),
        ("s3://bucket", Place(Service.S3, "", "bucket", "")),
        ("s3://bucket/", Place(Service.S3, "", "bucket", "")),
        ("gs://my_bucket.example/one/", Place(Service.GCS, "", "my_bucket.example", "one")),
        ("hf://Ann/my-bucket", Place(Service.HUGGING_FACE, "Ann", "my-bucket", "")),
        ("hf://ann/bucket/one/two", Place(Service.HUGGING_FACE, "ann", "bucket", "one/two")),
    ],
)
def test_a_url_names_a_place_and_a_place_its_url(url: str, place: Place) -> None:
    assert parsed(url) == place
    assert place.url == url.rstrip("/") == address.without_password(url)


@pytest.mark.parametrize(
    "url",
    [
        *("s3://", "s3:///one", "s3://B/one", "s3://key:sesame@bucket/one", "s3://bucket/../sesame"),
        *("s3://bucket//sesame", "s3://bucket/a?key=sesame", "s3://bucket/a#sesame", "s3://bucket/a b", "gs://b"),
        *("hf://ann", "hf:///bucket", "hf://ann/", "hf://an n/bucket", f"s3://bucket/{'a' * 401}", "s3://bucket/\n"),
    ],
)
def test_what_names_no_place_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(UsageError) as told:
        parsed(url)
    assert "sesame" not in str(told.value) and "/PREFIX" in str(told.value)


@pytest.mark.parametrize(
    ("url", "environment", "endpoint"),
    [
        ("s3://bucket", {}, "https://s3.us-east-1.amazonaws.com"),
        ("s3://bucket", {"AWS_REGION": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com"),
        ("s3://bucket", {"AWS_DEFAULT_REGION": "eu-west-1"}, "https://s3.eu-west-1.amazonaws.com"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://minio:9000/"}, "http://minio:9000"),
        ("s3://bucket", {"AWS_ENDPOINT_URL": "http://a", "AWS_ENDPOINT_URL_S3": "http://b"}, "http://b"),
        ("hf://ann/bucket", {"AWS_ENDPOINT_URL": "http://minio:9000"}, "https://s3.hf.co/ann"),
        ("gs://bucket", {"AWS_ENDPOINT_URL": "http://minio:9000"}, "https://storage.googleapis.com"),
        ("gs://bucket", {"STORAGE_EMULATOR_HOST": "localhost:4443"}, "http://localhost:4443"),
    ],
)
def test_the_environment_says_where_a_service_is(
    url: str, environment: dict[str, str], endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of(parsed(url)).url == endpoint
