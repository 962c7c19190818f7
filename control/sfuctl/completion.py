"""What bash, zsh and fish need to complete `sfuctl`, made from its parsers."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final


@dataclass(slots=True)
class Node:
    """A place on the command line: the words so far, and what may follow.

    `choices` maps an option that takes a value to its values (none: anything); `words` are
    sub-commands and values of positionals; `takes_files`: so may be names of files.
    """

    path: tuple[str, ...]
    words: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    takes_files: bool = False


def nodes(parser: argparse.ArgumentParser, path: tuple[str, ...] = ()) -> Iterator[Node]:
    """The node of a parser, then those of its sub-commands."""
    node = Node(path)
    below: list[tuple[str, argparse.ArgumentParser]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {one.dest: one.help or "" for one in action._choices_actions}
            node.words |= {name: helps.get(name, "") for name in action.choices}
            below += action.choices.items()
        else:
            _add_action(node, action)
    yield node
    for name, one in below:
        yield from nodes(one, (*path, name))


def _add_action(node: Node, action: argparse.Action) -> None:
    values = [str(choice) for choice in action.choices or ()]
    is_file = "." in str(action.metavar) or action.metavar == "FILE"
    if not action.option_strings:
        node.words |= dict.fromkeys(values, action.dest)
        node.takes_files |= is_file
        return
    help_ = (action.help or "").partition("(%")[0].strip()
    for flag in action.option_strings:
        if flag.startswith("--"):
            node.options[flag] = help_
            if action.nargs != 0:
                node.choices[flag] = values


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """What the shell is to read: `bash`, `zsh` or `fish`."""
    return _SCRIPTS[shell](list(nodes(parser)))


# bash and zsh: the same walk over the words typed so far, in what both understand.
_WALK = """    local word path="" valued=""
    for word in "${before[@]}"; do
        if [[ -n $valued ]]; then valued=""; continue; fi
        case "$path $word" in
            %(valued)s) valued=1 ;;
            %(paths)s) path="$path $word" ;;
        esac
    done
    local words="" files=""
    case "$path $last" in
%(values)s
        *) case "$path" in
%(words)s
        esac ;;
    esac
"""

_BASH = """# bash completion of sfuctl: source <(sfuctl completion bash)
_sfuctl() {
    local current="${COMP_WORDS[COMP_CWORD]}" last="${COMP_WORDS[COMP_CWORD-1]}"
    local before=("${COMP_WORDS[@]:1:COMP_CWORD-1}")
%(walk)s    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ -n $files ]]; then COMPREPLY+=($(compgen -f -- "$current")); fi
}
complete -F _sfuctl sfuctl"""

_ZSH = """#compdef sfuctl
# zsh completion of sfuctl: source <(sfuctl completion zsh)
_sfuctl() {
    local current="${words[CURRENT]}" last="${words[CURRENT-1]}"
    local -a before=("${(@)words[2,CURRENT-1]}")
    _sfuctl_words
}
_sfuctl_words() {
%(walk)s    compadd -- ${=words}
    if [[ -n $files ]]; then _files; fi
}
compdef _sfuctl sfuctl"""


def _joined(path: tuple[str, ...]) -> str:
    return "".join(f" {word}" for word in path)


def _walk(all_nodes: list[Node]) -> str:
    paths = [f'"{_joined(node.path)}"' for node in all_nodes if node.path]
    valued = [f'"{_joined(node.path)} {flag}"' for node in all_nodes for flag in node.choices]
    values = [
        f'        "{_joined(node.path)} {flag}") {_reply(choices, is_file=not choices)} ;;'
        for node in all_nodes
        for flag, choices in node.choices.items()
    ]
    words = [
        f'            "{_joined(node.path)}") '
        f"{_reply([*node.words, *node.options], is_file=node.takes_files)} ;;"
        for node in all_nodes
    ]
    return _WALK % {
        "paths": "|".join(paths),
        "valued": "|".join(valued),
        "values": "\n".join(values),
        "words": "\n".join(words),
    }


def _reply(words: list[str], *, is_file: bool) -> str:
    return f'words="{" ".join(words)}"' + ("; files=1" if is_file else "")


_FISH = """# fish completion of sfuctl: sfuctl completion fish | source
set -g __sfuctl_paths %(paths)s
set -g __sfuctl_valued %(valued)s
function __sfuctl_at
    set -l path ""
    set -l valued ""
    for word in (commandline -opc)[2..]
        if test -n "$valued"
            set valued ""
        else if contains -- "$path $word" $__sfuctl_valued
            set valued 1
        else if contains -- "$path $word" $__sfuctl_paths
            set path "$path $word"
        end
    end
    test "$path" = "$argv[1]"
end
complete -c sfuctl -f
%(lines)s"""


def _fish(all_nodes: list[Node]) -> str:
    lines = [line for node in all_nodes for line in _fish_lines(node)]
    paths = " ".join(_quoted(_joined(node.path)) for node in all_nodes if node.path)
    valued = " ".join(
        _quoted(f"{_joined(node.path)} {flag}") for node in all_nodes for flag in node.choices
    )
    return _FISH % {"paths": paths, "valued": valued, "lines": "\n".join(lines)}


def _fish_lines(node: Node) -> Iterator[str]:
    where = f"complete -c sfuctl -n {_quoted(f'__sfuctl_at {_quoted(_joined(node.path))}')}"
    for word, help_ in node.words.items():
        yield f"{where} -a {word} -d {_quoted(help_)}"
    if node.takes_files:
        yield f"{where} -F"
    for flag, help_ in node.options.items():
        line = f"{where} -l {flag.removeprefix('--')} -d {_quoted(help_)}"
        if flag in node.choices:
            values = node.choices[flag]
            line += f" -x -a {_quoted(' '.join(values))}" if values else " -r -F"
        yield line


def _quoted(text: str) -> str:
    """For fish: single quotes, in which only two characters mean something."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


_SCRIPTS: Final[dict[str, Callable[[list[Node]], str]]] = {
    "bash": lambda all_nodes: _BASH % {"walk": _walk(all_nodes)},
    "zsh": lambda all_nodes: _ZSH % {"walk": _walk(all_nodes)},
    "fish": _fish,
}
