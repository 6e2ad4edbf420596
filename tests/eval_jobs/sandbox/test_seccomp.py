"""The filter of system calls: its numbers against libseccomp's, its logic in a small machine, its effect in the kernel."""

import ctypes
import ctypes.util
import os
import struct
from collections.abc import Callable

import pytest

from eval_jobs.sandbox import Outcome, seccomp

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
TOKENS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def evaluate(code: bytes, machine: int, number: int, argument: int = 0) -> int:
    """The classic BPF machine, as far as the filter uses it (linux/filter.h)."""
    data = struct.pack("<IIQ6Q", number, machine, 0, argument, 0, 0, 0, 0, 0)
    instructions = list(struct.iter_unpack("<HBBI", code))
    at, accumulator = 0, 0
    while True:
        operation, jump_true, jump_false, k = instructions[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, k)
        elif operation == 0x06:
            return k
        else:
            true = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[operation]
            at += jump_true if true else jump_false


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_numbers_are_those_of_libseccomp(machine: str) -> None:
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("not installed: libseccomp2")
    resolve = ctypes.CDLL(name).seccomp_syscall_resolve_name_arch
    resolve.argtypes = (ctypes.c_uint32, ctypes.c_char_p)

    def number(call: str) -> int:
        return resolve(TOKENS[machine], call.encode())

    column = list(seccomp.ARCHITECTURES).index(machine)
    for call, numbers in seccomp.DENIED.items():
        expected = number(call)
        assert numbers[column] == (expected if expected >= 0 else None), call
    assert seccomp.CLONE[machine] == number("clone")
    assert seccomp.SOCKETS[machine] == (number("socket"), number("socketpair"))
    assert number("clone3") == seccomp.CLONE3


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_what_is_denied(machine: str) -> None:
    code, token = seccomp.program(machine), TOKENS[machine]
    column = list(seccomp.ARCHITECTURES).index(machine)
    denied = {numbers[column] for numbers in seccomp.DENIED.values()} - {None}
    special = {seccomp.CLONE3, seccomp.CLONE[machine], *seccomp.SOCKETS[machine]}
    assert len(code) % 8 == 0 and len(code) // 8 <= 4096
    for number in range(600):
        if number not in special:
            assert evaluate(code, token, number) == (EPERM if number in denied else ALLOW), number
    assert evaluate(code, token, seccomp.CLONE3) == ENOSYS
    for number in seccomp.SOCKETS[machine]:
        assert evaluate(code, token, number, 1) == ALLOW
        # The kernel takes the family as a C int: what stands above the low half does not make another family of it.
        for family in (0, 2, 10, 16, 17, 38, 40, (1 << 32) + 2):
            assert evaluate(code, token, number, family) == EPERM, family
    clone = seccomp.CLONE[machine]
    assert evaluate(code, token, clone, 17) == evaluate(code, token, clone, 0x3D0F00) == ALLOW  # fork, a thread
    for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert evaluate(code, token, clone, bit | 17) == EPERM
    assert evaluate(code, 0x40000003, 1) == KILL  # 32-bit calls on a 64-bit machine
    if machine == "x86_64":
        assert evaluate(code, token, 0x40000000 + 101) == EPERM


def test_another_machine_has_no_filter() -> None:
    with pytest.raises(KeyError, match="riscv64"):
        seccomp.program("riscv64")


def test_the_kernel_denies(run: Callable[..., Outcome]) -> None:
    machine = os.uname().machine
    column = list(seccomp.ARCHITECTURES).index(machine)
    calls = {name: numbers[column] for name, numbers in seccomp.DENIED.items() if numbers[column] is not None}
    outcome = run(
        f"calls, clone, clone3 = {calls!r}, {seccomp.CLONE[machine]}, {seccomp.CLONE3}\n"
        """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    return libc.syscall(*map(ctypes.c_long, args)), ctypes.get_errno()
wrong = {name: got for name, number in calls.items() if (got := call(number, 0, 0, 0, 0, 0, 0)) != (-1, 1)}
print("wrong:", wrong)
print("unshare:", call(calls["unshare"], 0x10000000), "clone:", call(clone, 0x10000000 | 17, 0, 0, 0, 0))
print("clone3:", call(clone3, 0, 0), "getppid works:", os.getppid() > 0)
"""
    )
    assert outcome.output.splitlines() == [
        "wrong: {}",
        "unshare: (-1, 1) clone: (-1, 1)",
        "clone3: (-1, 38) getppid works: True",
    ]
