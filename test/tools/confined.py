#!/usr/bin/env python3
"""confined.py UNIT PROGRAM ARGUMENT...: runs a program under the system call filter of a systemd unit, without systemd: SystemCallFilter
(groups as systemd-analyze tells them), RestrictAddressFamilies, MemoryDenyWriteExecute, and no new privileges.
CONFINED_ALSO names calls that are allowed besides."""
import errno
import os
import re
import socket
import subprocess
import sys

import seccomp

PROT_WRITE, PROT_EXEC = 2, 4


def values(unit, name):
    return [line.split('=', 1)[1].strip() for line in unit.splitlines() if line.startswith(name + '=')]


def resolve(name):
    if not name.startswith('@'):
        return {name}
    told = subprocess.run(['systemd-analyze', 'syscall-filter', name], check=True, capture_output=True, text=True).stdout
    members = [line.strip() for line in told.splitlines()[1:]]
    return set().union(*(resolve(member) for member in members if re.match(r'^[@\w]', member)))


def allowed(unit):
    calls = set(resolve('@default')) | set(os.environ.get('CONFINED_ALSO', '').split())  # systemd always lets the first through
    for value in values(unit, 'SystemCallFilter'):
        named = set().union(*(resolve(name) for name in value.lstrip('~').split()))
        calls = calls - named if value.startswith('~') else calls | named
    return calls


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        unit = file.read()
    rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    calls = allowed(unit)
    families = values(unit, 'RestrictAddressFamilies')
    if families:
        calls.discard('socket')
        for family in families[0].split():
            rules.add_rule(seccomp.ALLOW, 'socket', seccomp.Arg(0, seccomp.EQ, getattr(socket, family)))
    if values(unit, 'MemoryDenyWriteExecute') == ['yes']:
        calls -= {'mmap', 'mprotect', 'pkey_mprotect'}
        for call in ('mprotect', 'pkey_mprotect'):
            rules.add_rule(seccomp.ALLOW, call, seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0))
        for bits in (0, PROT_WRITE, PROT_EXEC):
            rules.add_rule(seccomp.ALLOW, 'mmap', seccomp.Arg(2, seccomp.MASKED_EQ, PROT_WRITE | PROT_EXEC, bits))
    for call in sorted(calls):
        try:
            rules.add_rule(seccomp.ALLOW, call)
        except (RuntimeError, OSError, ValueError):
            pass  # of another architecture
    rules.load()
    os.execv(sys.argv[2], sys.argv[2:])


main()
