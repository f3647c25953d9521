"""An independent opinion on S3: moto's server, by others, which also judges what is signed, and by whom.

https://docs.getmoto.org/en/latest/docs/server_mode.html and .../docs/iam.html
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from orchestrator.errors import SignInNeeded
from orchestrator.home import Home
from orchestrator.jobs import WorkerInfo
from orchestrator.object_stores import live_checks
from orchestrator.object_stores.artifact_store import ObjectArtifacts
from orchestrator.object_stores.client import PART_BYTES, ObjectClient
from orchestrator.object_stores.places import parsed
from tests.support.jobtable_backends import plan_of
from tests.support.played_worker import chain_of_two

BUCKET = "orch-tests"
URL = f"s3://{BUCKET}/studies/one"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{BUCKET}"},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": f"arn:aws:s3:::{BUCKET}/*",
        },
    ],
}
"""What docs/object-stores.md says the keys must be allowed."""
ADMINISTRATION = 4
"""Requests that are let through unjudged: somebody must make the user and the bucket."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server that judges signatures and policies after the first requests."""
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(ADMINISTRATION)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("moto says nowhere where it is")
        yield found[0]
        process.stderr.close()
        process.terminate()


@pytest.fixture(scope="module")
def keys(server: str) -> dict[str, str]:
    """Of a user who may what the document says."""
    anybody: dict[str, Any] = {"aws_access_key_id": "root", "aws_secret_access_key": "root"}
    options: dict[str, Any] = {"endpoint_url": server, "region_name": "us-east-1", **anybody}
    people = boto3.client("iam", **options)
    people.create_user(UserName="ann")
    people.put_user_policy(UserName="ann", PolicyName="orch", PolicyDocument=json.dumps(POLICY))
    made = people.create_access_key(UserName="ann")["AccessKey"]
    boto3.client("s3", **options).create_bucket(Bucket=BUCKET)
    return {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": made["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"],
    }


@pytest.fixture(autouse=True)
def signed_in(keys: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


def test_it_keeps_all_that_the_protocol_rests_on() -> None:
    findings = list(live_checks.all_checks(ObjectClient(parsed(URL))))
    assert len(findings) == 8
    assert [finding.told for finding in findings if not finding.well] == []


def test_a_study_is_planned_worked_on_and_swept_there(tmp_path: Path) -> None:
    home = Home.create(URL)
    (tmp_path / "shard").write_bytes(b"images")
    home.jobs.publish(plan_of(chain_of_two()), {"shard": home.artifacts.put(tmp_path / "shard")})
    opened = Home.open(URL)
    opened.check_artifacts()
    lease = opened.jobs.claim(WorkerInfo("w1"))
    assert lease is not None and lease.name == "a"
    opened.artifacts.fetch(opened.jobs.data()["shard"], tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"images"


def test_a_file_in_parts_is_confirmed_by_its_etag(tmp_path: Path) -> None:
    client = ObjectClient(parsed(f"s3://{BUCKET}/two"))
    store = ObjectArtifacts(client, "the bucket")
    (tmp_path / "large").write_bytes(os.urandom(PART_BYTES + 1))
    artifact = store.put(tmp_path / "large")
    assert client.head(f"artifacts/{artifact.location}").is_intact and store.is_whole(artifact)
    assert [stored.artifact for stored in store.stored()] == [artifact]
    store.delete(artifact)
    assert list(store.stored()) == []


def test_a_signature_with_another_key_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(SignInNeeded, match="SignatureDoesNotMatch"):
        ObjectClient(parsed(URL)).head("jobs")
