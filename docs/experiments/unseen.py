"""Reports of `helpmate unseen` as a Markdown table: a line a report, then the mean over seeds by cluster."""
import json
import sys


def line(name, part):
    number = lambda m, sign="": f"{m['value']:{sign}.3f} [{m['interval'][0]:{sign}.3f}, {m['interval'][1]:{sign}.3f}]"
    better, same, worse = part["signs"]
    was, now = part["most_given"]
    return (f"| {name} | {part['rows']} ({part['renderings']}) | {part['majority']:.3f} | {number(part['before'])} | "
            f"{number(part['after'])} | {number(part['difference'], '+')} | {better}/{same}/{worse} | {was:.2f} → {now:.2f} |")


print("| held out, seed, part | rows (renderings) | always the same | before | after | difference | better/same/worse | one answer |")
print("|---|---|---|---|---|---|---|---|")
differences = {}
for path in sys.argv[1:]:
    report = json.load(open(path))
    for part in ("unseen", "seen"):
        change = report[part][0]
        print(line(f"{report['held_out']}, {report['seed']}, {part}", change))
        differences.setdefault((report["held_out"], part), []).append(change["difference"]["value"])
print()
for (cluster, part), found in differences.items():
    mean = sum(found) / len(found)
    print(f"{cluster}, {part}: mean difference {mean:+.3f} over {len(found)} seeds ({min(found):+.3f} to {max(found):+.3f})")
