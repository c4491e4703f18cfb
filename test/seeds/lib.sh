# What the scripts here share. $base: where the server is. Each step says what it did.
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

step() { printf 'step: %s\n' "$*"; }
die() {
    printf 'failed: %s\n' "$*" >&2
    exit 1
}
# shape JSON: checks the JSON on stdin and hands it on.
shape() { node "$here/shape.mjs" "$1"; }
# field NAME: the first value of that field of the JSON on stdin.
field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }
# status WANTED CURL-ARGUMENTS…: the answer's body, if its status is the wanted one.
status() {
    local wanted=$1 out
    shift
    out=$(curl -sS -w '\n%{http_code}' "$@")
    [ "${out##*$'\n'}" = "$wanted" ] || die "status ${out##*$'\n'} instead of $wanted: ${out%$'\n'*}"
    printf '%s' "${out%$'\n'*}"
}
