"""What a CPU is called: rows of two CPUs that compute int8 at different speeds may not look like rows of one."""

from __future__ import annotations

import pytest

from models.runtime import cpu_name, described_cpu


def cpuinfo(**about: str) -> str:
    return "".join(f"{key.replace('_', ' ')}\t: {value}\n" for key, value in about.items()) + "\n"


@pytest.mark.parametrize(
    ("flags", "instructions"),
    [
        ("fpu sse2 avx avx2 avx512f avx512_vnni", "AVX-512 VNNI"),
        ("fpu sse2 avx avx2 avx_vnni", "AVX VNNI"),
        ("fpu sse2 avx avx2 avx512f", "AVX-512"),
        ("fpu sse2 avx avx2", "AVX2"),
    ],
)
def test_a_cpu_is_named_with_the_instructions_that_decide_its_speed(flags: str, instructions: str) -> None:
    of_a_core = cpuinfo(processor="0", model_name="Intel(R) Xeon(R) CPU @ 2.20GHz", flags=flags)
    assert described_cpu(of_a_core + of_a_core) == f"Intel(R) Xeon(R) CPU @ 2.20GHz ({instructions})"


def test_an_arm_cpu_with_a_name_has_its_instructions_too() -> None:
    assert described_cpu(cpuinfo(model_name="Cortex", Features="fp asimd asimddp i8mm")) == "Cortex (I8MM)"


def test_a_cpu_without_any_of_them_has_its_name_alone() -> None:
    assert described_cpu(cpuinfo(model_name="Pentium: the first", flags="fpu")) == "Pentium: the first"


def test_a_cpu_that_linux_does_not_name_is_named_by_its_kind() -> None:
    assert described_cpu(cpuinfo(processor="0", Features="fp asimd")) is None
    assert cpu_name()
