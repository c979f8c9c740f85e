#!/usr/bin/env python3
"""Checks that the documents speak of things that exist.

- Relative links and pictures lead to files, and `#fragments` to headings.
- Every ```cpp block is a verbatim part of the file that the comment above it names: <!-- from: docs/examples/x.cpp -->.
- Paths of this repository in code (`scripts/test`, `tests/integration/run`) are there.
- docs/podproxy.md has a row for every key that the settings' parser reads, and no other; deploy/config.example.yaml has them too,
  with the same defaults as the table.
- docs/wake-proxy.md has a row for every label and its key, and no other, and deploy/wake-proxy/config.example.yaml has the keys with
  the same defaults.
- The messages in the tables "Troubleshooting" of both occur in the sources.
"""
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
guide = root / "docs/podproxy.md"
example_settings = root / "deploy/config.example.yaml"
parser = root / "include/podproxy/config/impl/podproxy_config.ipp"
wake_guide = root / "docs/wake-proxy.md"
wake_example = root / "deploy/wake-proxy/config.example.yaml"
wake_fields = root / "include/podproxy/config/detail/wake_fields.hpp"
readers = root / "include/podproxy/config/detail/readers.hpp"

problems: list[str] = []


def complain(file: Path, line: int, text: str) -> None:
    problems.append(f"{file.relative_to(root)}:{line}: {text}")


def documents() -> list[Path]:
    skipped = {"build", ".git", "node_modules"}
    return sorted(path for path in root.rglob("*.md") if not skipped & set(path.relative_to(root).parts))


def split(text: str):
    """(line number, language or None, lines): the fenced blocks of a document, and what is between them."""
    start, language, lines = 1, None, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            yield start, language, lines
            start, lines = number + 1, []
            language = line[3:].strip() if language is None else None
        else:
            lines.append(line)
    yield start, language, lines


def anchors(path: Path) -> set[str]:
    """The fragments of a document's headings, as GitHub makes them."""
    found: set[str] = set()
    for _, language, lines in split(path.read_text()):
        for line in lines if language is None else []:
            if heading := re.match(r"#{1,6}\s+(.*?)\s*$", line):
                slug = re.sub(r"[^\w\- ]", "", heading[1].lower()).replace(" ", "-")
                number = 0
                while (name := f"{slug}-{number}" if number else slug) in found:
                    number += 1
                found.add(name)
    return found


def check_links(path: Path) -> None:
    for start, language, lines in split(path.read_text()):
        for number, line in enumerate(lines if language is None else [], start):
            bare = re.sub(r"`[^`]*`", "", line)
            for target in re.findall(r"\]\(([^)\s]+)\)", bare) + re.findall(r'(?:src|href)="([^"]+)"', bare):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, fragment = target.partition("#")
                to = (path.parent / name).resolve() if name else path
                if not to.exists():
                    complain(path, number, f"the link {target} leads nowhere")
                elif fragment and to.suffix == ".md" and fragment not in anchors(to):
                    complain(path, number, f"the link {target} names a heading that is not there")


def check_examples(path: Path) -> None:
    named = None
    for start, language, lines in split(path.read_text()):
        if language == "cpp":
            if not named:
                complain(path, start, "a C++ block without a comment that names its file: <!-- from: docs/examples/x.cpp -->")
            elif not (root / named).is_file():
                complain(path, start, f"{named} is not there")
            elif "\n".join(lines).strip("\n") + "\n" not in (root / named).read_text():
                complain(path, start, f"this is not a part of {named}")
        last = next((line for line in reversed(lines) if line.strip()), "") if language is None else ""
        origin = re.fullmatch(r"<!-- from: (\S+) -->", last.strip())
        named = origin[1] if origin else None


path_in_code = re.compile(r"(?<![\w/.~$-])((?:scripts|tests|fuzz|docs|deploy|tools|include|cmake|\.ci|\.github)/[\w./-]*\w)")


def check_paths(path: Path) -> None:
    """In code only, and not where a name stands for something (`<name>`, `*`)."""
    for start, language, lines in split(path.read_text()):
        for number, line in enumerate(lines, start):
            code = [line] if language is not None or line.startswith("    ") else re.findall(r"`([^`]+)`", line)
            for text in code:
                if language == "cpp" or re.search(r"[<>*{}\[]", text):
                    continue
                for found in path_in_code.findall(text.split("#")[0]):
                    if not ((root / found).exists() or (path.parent / found).exists()):
                        complain(path, number, f"{found} is not there")


def parsed_keys() -> set[str]:
    """The keys that the parser reads, as written in its source."""
    log = readers.read_text()
    log = log[log.index("inline void read_log_level("):log.index("/// One of a few words.")]
    rest = parser.read_text()
    one = re.compile(r'(?:\bin\.read\(|read_address\(in, |read_aliases\(in, |read_cidrs\(in, |read_rules\(in, |read_choice\(in, |read_log_format\(in, )"(\w+)"')
    keys = {f"log.{key}" for key in one.findall(log)}
    top = rest[rest.index("parse_podproxy_config("):]
    return keys | set(one.findall(top))


def documented_keys() -> dict[str, tuple[int, str]]:
    """Key to line and default, from the table of the section Settings."""
    keys: dict[str, tuple[int, str]] = {}
    section = ""
    for number, line in enumerate(guide.read_text().splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        elif section == "Settings" and (row := re.match(r"\| `([\w.]+)` \| (.*?) ?\| ", line)):
            keys[row[1]] = (number, row[2])
    return keys


def example_values() -> dict[str, tuple[int, str]]:
    """Key to line and value: the small part of YAML that the example uses. A key that is commented out counts, without a value."""
    values: dict[str, tuple[int, str]] = {}
    prefix = key = ""
    for number, line in enumerate(example_settings.read_text().splitlines(), 1):
        if absent := re.match(r"( *)# (\w+): \S+ +# without the key", line):
            values[(prefix if absent[1] else "") + absent[2]] = (number, "")
            continue
        line = re.sub(r"\s+#.*$|^#.*$", "", line)
        if item := re.match(r" +- (.+)", line):
            values[key] = (values[key][0], ", ".join(filter(None, [values[key][1], item[1]])))
        elif entry := re.match(r"( *)(\w+):\s*(.*)$", line):
            key = (prefix if entry[1] else "") + entry[2]
            if not entry[1]:
                prefix = ""
            if entry[2] == "log" and not entry[3]:
                prefix = "log."
                continue
            values[key] = (number, entry[3])
    return values


def check_settings() -> None:
    read, told, shown = parsed_keys(), documented_keys(), example_values()
    if len(read) < 10:
        complain(parser, 1, f"only these keys were found in the parser, has its form changed? {sorted(read)}")
    for key in sorted(read - told.keys()):
        complain(guide, 1, f"the key '{key}' is read and not in the table of settings")
    for key in sorted(told.keys() - read):
        complain(guide, told[key][0], f"the key '{key}' is not read by anybody")
    second_names = {"log.formatter"}
    for key in sorted(read - second_names - shown.keys()):
        complain(example_settings, 1, f"the key '{key}' is missing")
    for key, (number, value) in shown.items():
        if key not in told:
            complain(example_settings, number, f"the key '{key}' is not in the table of settings")
            continue
        default = told[key][1].replace("`", "")
        if value.replace('""', "none") != default:
            complain(example_settings, number, f"'{key}' is {value!r} here, and its default is {default!r} in docs/podproxy.md")


def check_wake_settings() -> None:
    """Labels, keys and defaults of wake-proxy: the guide's table, the rows of the parser, and the example."""
    fields = re.findall(r'wake_(?:group|port)_field\{"([\w.-]+)"', wake_fields.read_text())
    links = ["group", "listen", "host", "names"]  # what has no row there
    if len(fields) < 20:
        complain(wake_fields, 1, "only these fields were found, has their form changed? " + " ".join(fields))
    told: dict[str, tuple[int, str, str]] = {}
    section = ""
    for number, line in enumerate(wake_guide.read_text().splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        elif section == "Labels and settings" and (row := re.match(r"\| `([\w.-]+)` \| (?:`([\w.]+)`)? ?\| (.*?) \| ", line)):
            told[row[1]] = (number, row[2] or "", row[3].strip("`"))
    for label in fields + links:
        if label not in told:
            complain(wake_guide, 1, f"the label '{label}' is read and not in the table of labels")
    # The part `defaults:` of the example, with `threshold:` and `noWake:` in it.
    shown: dict[str, tuple[int, str]] = {}
    prefix, inside = "", False
    for number, line in enumerate(wake_example.read_text().splitlines(), 1):
        if re.match(r"\S", line):
            inside = line.startswith("defaults:")
        elif inside and (entry := re.match(r"( +)(?:# )?(\w+): ?(\S*)", line)):
            if len(entry[1]) == 2:
                prefix = ""
            if entry[3].startswith("#") or not entry[3]:
                prefix = entry[2] + "."
                continue
            shown[prefix + entry[2]] = (number, "" if line.strip().startswith("#") else entry[3])
    for label, (number, key, default) in told.items():
        if label not in fields + links:
            complain(wake_guide, number, f"the label '{label}' is not read by anybody")
        first, *rest = label.split("-")
        if label != "group" and key != first + "".join(part[:1].upper() + part[1:] for part in rest):
            complain(wake_guide, number, f"the label '{label}' has another key than {key!r}")
        if label in fields and key not in shown:
            complain(wake_example, 1, f"the key '{key}' is missing below defaults")
        elif label in fields and shown[key][1] not in ("", "[]", default):
            complain(wake_example, shown[key][0], f"'{key}' is {shown[key][1]!r} here, and its default is {default!r} in docs/wake-proxy.md")


def check_messages(document: Path) -> None:
    source = ""
    for folder in ("include", "tools"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".hpp", ".ipp", ".cpp"}:
                source += path.read_text()
    source = re.sub(r'"\s*\n\s*"', "", source)  # texts in several pieces
    section = ""
    rows = 0
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if line.startswith("## "):
            section = line[3:]
        elif section == "Troubleshooting" and (row := re.match(r"\| `([^`]+)` \|", line)):
            rows += 1
            for piece in filter(None, (part.strip() for part in row[1].split("…"))):
                if piece not in source:
                    complain(document, number, f"no such message in the sources: {piece}")
    if rows < 10:
        complain(document, 1, "the table of messages was not found")


def main() -> int:
    for path in documents():
        check_links(path)
        check_examples(path)
        check_paths(path)
    check_settings()
    check_wake_settings()
    check_messages(guide)
    check_messages(wake_guide)
    print("\n".join(problems) if problems else f"{len(documents())} documents are in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
