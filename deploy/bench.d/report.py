"""Rows of figures, their medians over the rounds, the table and the JSON list."""
import json
import statistics


class Report:
    """Figures by (case, peer, metric), one per round."""

    def __init__(self, bench):
        self.bench = bench
        self.values = {}
        self.units = {}

    def add(self, case, peer, metric, value, unit):
        self.values.setdefault((case, peer, metric), []).append(value)
        self.units[metric] = unit

    def median(self, case, peer, metric):
        values = [v for v in self.values.get((case, peer, metric), []) if v is not None]
        return statistics.median(values) if values else None

    def cases(self):
        return list(dict.fromkeys(key[0] for key in self.values))

    def peers(self, case):
        return list(dict.fromkeys(key[1] for key in self.values if key[0] == case))

    def pair(self, base, metric, name):
        """Adds `name`: each peer's metric over that of `base` in the same round and case."""
        for case in self.cases():
            below = self.values.get((case, base, metric))
            if not below:
                continue
            for peer in self.peers(case):
                above = self.values.get((case, peer, metric), [])
                for a, b in zip(above, below):
                    self.add(case, peer, name, a / b if a is not None and b else None, "ratio")

    def subtract(self, base, metric, name):
        """Adds `name`: what each peer's metric is above that of `base` in the same round and case."""
        for case in self.cases():
            below = self.values.get((case, base, metric))
            if not below:
                continue
            for peer in self.peers(case):
                above = self.values.get((case, peer, metric), [])
                for a, b in zip(above, below):
                    self.add(case, peer, name, a - b if a is not None and b is not None else None, self.units[metric])

    def rows(self):
        return [{"bench": self.bench, "case": case, "peer": peer, "metric": metric,
                 "value": self.median(case, peer, metric), "unit": self.units[metric]}
                for case, peer, metric in self.values if self.median(case, peer, metric) is not None]

    def write(self, path):
        with open(path, "w") as file:
            json.dump(self.rows(), file, indent=1)
            file.write("\n")

    def print_case(self, case, columns, order=None):
        """`columns`: (heading, metric, format) from left to right; `order`: the peers from top to bottom."""
        lines = [["peer"] + [heading for heading, _, _ in columns]]
        for peer in order or self.peers(case):
            medians = [self.median(case, peer, metric) for _, metric, _ in columns]
            lines.append([peer] + ["-" if m is None else format(m, f) for m, (_, _, f) in zip(medians, columns)])
        print_table(lines)


def print_table(lines):
    """The first line is the heading, the first column stands left, all others right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [text.ljust(width) if i == 0 else text.rjust(width)
                 for i, (text, width) in enumerate(zip(line, widths))]
        print("  " + "  ".join(cells).rstrip())
    print(flush=True)
