"""Writes the plan, for ninja, of analysing each source file alone: a file is looked at again when it, a header that it
includes or the settings changed, or when it had findings.
Usage: plan.py KIND BUILD_DIR: KIND is tidy or scan; BUILD_DIR has compile_commands.json. The plan goes to stdout."""
import json
import os
import shlex
import sys

TIDY = 'clang-tidy --quiet --header-filter={filter}{more} $in -- -x c $flags'
# scan-build's engine by way of clang-tidy, so that a NOLINT with its reason stands beside what is no fault.
# DeprecatedOrUnsafeBufferHandling wants memcpy_s() and its like, which glibc does not have. Padding counts bytes of structs
# of which there is one; their members stand in the order that reads best.
SCAN = (" --checks='-*,clang-analyzer-*,-clang-analyzer-optin.performance.Padding,"
        "-clang-analyzer-security.insecureAPI.DeprecatedOrUnsafeBufferHandling'")
TOOLS = {'tidy': '', 'scan': SCAN}


def flags_of(entry):
    """What decides how the file reads; paths from the root on, so that findings name files as people do."""
    words = shlex.split(entry['command'])
    for word in words:
        if word.startswith('-I'):
            path = os.path.relpath(os.path.join(entry['directory'], word[2:]))
            yield '-I' + path if not path.startswith('..') else word
        elif word.startswith(('-D', '-std=')):
            yield word
    yield from ('-Wall', '-Wextra', '-Wno-missing-field-initializers')


def main():
    kind, build_dir = sys.argv[1:]
    root = os.getcwd()
    with open(os.path.join(build_dir, 'compile_commands.json'), encoding='utf-8') as file:
        entries = json.load(file)
    tool = TIDY.format(filter=shlex.quote(f'^({root}/)?(include|src)/'), more=TOOLS[kind])
    print(f'builddir = {build_dir}/{kind}')
    print(f'rule {kind}\n  description = {kind} $in\n  deps = gcc\n  depfile = $out.d')
    print(f"  command = clang -MM -MF $out.d -MT $out $flags $in && {tool} 2>$out.log && touch $out || (cat $out.log; false)")
    for path, entry in sorted({os.path.relpath(os.path.join(e['directory'], e['file'])): e for e in entries}.items()):
        if not path.startswith('src/'):
            continue  # generated, or a test
        flags = ' '.join(shlex.quote(flag) for flag in flags_of(entry)).replace('$', '$$')
        print(f'build {build_dir}/{kind}/{path}: {kind} {path} | .clang-tidy {__file__}\n  flags = {flags}')


main()
