#!/usr/bin/python3
"""The rules of the house as a test: rules.py NAME checks the tree, rules.py --self-test NAME shows that the rule can fail,
rules.py --repair NAME writes what a rule can write (quotes, tables).

A rule is a module here with WHAT, check(tree), a GOOD tree and BAD ones: {case: (files laid over the good tree, words
that a finding must contain)}."""

import importlib
import os
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from tree import Tree  # noqa: E402  (found by the line above)


def check_tree(rule, root):
    findings = [str(finding) for finding in rule.check(Tree(root))]
    for finding in findings:
        print(finding)
    print(f"{rule.WHAT}: {len(findings)} findings")
    return 1 if findings else 0


def findings_in(rule, files):
    with tempfile.TemporaryDirectory(prefix="pons-rules-") as root:
        for path, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return [str(finding) for finding in rule.check(Tree(root))]


def self_test(rule):
    failed = 0
    findings = findings_in(rule, rule.GOOD)
    if findings:
        failed += 1
        print("the good tree is found fault with:", *findings, sep="\n  ")
    for case, (files, words) in rule.BAD.items():
        findings = findings_in(rule, {**rule.GOOD, **files})
        if not any(words in finding for finding in findings):
            failed += 1
            print(f"case '{case}': nothing found with '{words}', but:", *findings, sep="\n  ")
    print(f"{rule.WHAT}: {len(rule.BAD)} bad trees, {failed} mistakes")
    return 1 if failed else 0


def repair(rule, root):
    rule.repair(Tree(root))
    return check_tree(rule, root)


def main(arguments):
    option = arguments.pop(0) if arguments and arguments[0].startswith("--") else ""
    if not arguments or option not in ("", "--self-test", "--repair"):
        print("usage: rules.py [--self-test|--repair] calls|errors|headers|includes|links|names|proofs|quotes|sizes|tables|text ...")
        return 2
    root = os.path.dirname(os.path.dirname(HERE))
    rules = [importlib.import_module(name) for name in arguments]
    if option == "--self-test":
        return max(self_test(rule) for rule in rules)
    return max(repair(rule, root) if option else check_tree(rule, root) for rule in rules)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
