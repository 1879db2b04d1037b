"""Bash completion that knows ``NAME:key=value``.

Bash takes ``:`` and ``=`` for the ends of words, so that click's own completion sees ``dcgan : width`` in three
pieces. This one reads the line itself, and answers with what stands behind the last such mark.
"""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, CompletionItem, add_completion_class, split_arg_string

SOURCE = """\
%(complete_func)s() {
    local IFS=$'\\n' answer kind value
    answer=$(env LINE="${COMP_LINE:0:COMP_POINT}" %(complete_var)s=bash_complete $1)
    COMPREPLY=()
    for answer in $answer; do
        kind=${answer%%%%,*}
        value=${answer#*,}
        if [[ $kind == dir ]]; then
            compopt -o dirnames
        elif [[ $kind == file ]]; then
            compopt -o default
        else
            COMPREPLY+=("$value")
            [[ $value == *= ]] && compopt -o nospace
        fi
    done
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class SpecBashComplete(BashComplete):
    """``ganforge`` in Bash."""

    name = "bash"
    source_template = SOURCE

    @staticmethod
    def _check_version() -> None:
        """Any Bash from 4.4, without starting one to ask."""

    def get_completion_args(self) -> tuple[list[str], str]:
        words = split_arg_string(os.environ.get("LINE", ""))
        begun = not os.environ.get("LINE", "").endswith((" ", "\t"))
        incomplete = words.pop() if begun and len(words) > 1 else ""
        return words[1:], incomplete

    def format_completion(self, item: CompletionItem) -> str:
        _, incomplete = self.get_completion_args()
        mark = max(incomplete.rfind(":"), incomplete.rfind("="))
        return f"{item.type},{item.value[mark + 1 :]}"


def install() -> None:
    """Let click use it."""
    add_completion_class(SpecBashComplete)
