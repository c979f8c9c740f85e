"""Samples, and tables of them."""
import json
from collections import defaultdict
from statistics import median


class Results:
    """samples[section][setting][row][column] = one number per round; None where a round gave nothing."""

    def __init__(self) -> None:
        self.samples: dict = defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list))))
        self.problems: list[str] = []
        self.conditions: list[dict] = []
        self.about: dict = {}

    def add(self, section: str, setting: str, row: str, column: str, value: float | None) -> None:
        self.samples[section][setting][row][column].append(value)

    def problem(self, text: str) -> None:
        self.problems.append(text)

    def get(self, section: str, setting: str, row: str, column: str) -> list[float]:
        try:
            return [x for x in self.samples[section][setting][row][column] if x is not None]
        except KeyError:
            return []

    def ratio(self, section: str, setting: str, row: str, column: str, base: str) -> float | None:
        """The median over the rounds of a row by its base: what happened to both at about the same time."""
        both = self.samples[section][setting]
        if row not in both or base not in both:
            return None
        pairs = [a / b for a, b in zip(both[row][column], both[base][column]) if a is not None and b]
        return median(pairs) if pairs else None

    def json(self) -> str:
        return json.dumps({"about": self.about, "conditions": self.conditions, "problems": self.problems, "samples": self.samples}, indent=1)


def number(x: float) -> str:
    if x == int(x) and abs(x) < 1e6:
        return f"{int(x):,}"
    size = abs(x)
    if size >= 100:
        return f"{x:,.0f}"
    return f"{x:.1f}" if size >= 10 else f"{x:.2f}" if size >= 1 else f"{x:.3f}"


def base_of(row: str) -> str:
    """Its yardstick: the one that is reached the same way."""
    way = row.rpartition(" ")[2]
    return f"yardstick {way}" if way in ("socks5", "connect") else "yardstick"


def table(results: Results, section: str, setting: str, columns: dict[str, str], rows: list[str], *, ratios: bool = True) -> str:
    """One line per row: median [least..most] (times the yardstick)."""
    lines = ["| | " + " | ".join(columns.values()) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        cells = []
        for column in columns:
            values = results.get(section, setting, row, column)
            if not values:
                cells.append("-")
                continue
            cell = number(median(values))
            if len(values) > 1 and min(values) != max(values):
                cell += f" [{number(min(values))}..{number(max(values))}]"
            base = base_of(row)
            ratio = results.ratio(section, setting, row, column, base) if ratios and row not in (base, "direct") else None
            if ratio is not None:
                cell += f" ({ratio:.2f}x)"
            cells.append(cell)
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
