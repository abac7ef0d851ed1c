#!/usr/bin/env python3
"""Switches off every rule of list.toml, one after another, in a copy of the tree, and prints those that no test misses.

    tests/mutants/run.py              all of them: half an hour
    tests/mutants/run.py cap design   those whose rule contains one of the words
"""

import pathlib
import shutil
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / "target" / "mutants" / "tree"


def test(mutant):
    """The outcome of the mutant's test: "passed", "failed", or "does not compile"."""
    command = ["cargo", "test", "--quiet", "--locked", "--target-dir", str(COPY.parent / "target"), *mutant["test"]]
    build = subprocess.run([*command, "--no-run"], cwd=COPY, capture_output=True, text=True, check=False)
    if build.returncode != 0:
        return "does not compile"
    done = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=False)
    if " 0 passed; 0 failed" in done.stdout and "1 passed" not in done.stdout and "1 failed" not in done.stdout:
        return "has no such test"
    return "passed" if done.returncode == 0 else "failed"


def main():
    mutants = tomllib.loads((ROOT / "tests/mutants/list.toml").read_text())["mutant"]
    if words := sys.argv[1:]:
        mutants = [mutant for mutant in mutants if any(word in mutant["rule"] for word in words)]
    shutil.rmtree(COPY, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    survivors = []
    for mutant in mutants:
        file = COPY / mutant["file"]
        original = file.read_text()
        if original.count(mutant["find"]) != 1:
            sys.exit(f"{mutant['file']} does not contain this exactly once: {mutant['find']}")
        file.write_text(original.replace(mutant["find"], mutant["replace"]))
        outcome = test(mutant)
        file.write_text(original)
        print(f"{'killed' if outcome == 'failed' else 'SURVIVES: its test ' + outcome:8}  {mutant['rule']}", flush=True)
        survivors += [mutant["rule"]] if outcome != "failed" else []
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} rules are missed by a test when they are off")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
