"""Stores with one flaw each: the weakest part that must find it, and words that must name it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """A flaw of the small store."""

    flaw: str
    part: str
    words: str
    always: bool = False  # also tried in the short run


EARLY = "answered before the work was done"
IN_PLACE = "written in place"
REFERENCE = "the reference is written before what it refers to"
NO_FSYNC = "no fsync of the file before rename"
HEAL = "a retry after a kill relies on what it finds"
ANEW = "a later one that succeeds proves nothing"

MUTANTS = (
    Mutant("early-answer-blob", "kill", EARLY),
    Mutant("early-answer-ref", "kill", EARLY, always=True),
    Mutant("early-answer-state", "kill", EARLY),
    Mutant("in-place-ref", "kill", IN_PLACE),
    Mutant("in-place-state", "kill", IN_PLACE),
    Mutant("in-place-head", "kill", IN_PLACE, always=True),
    Mutant("in-place-object", "kill", IN_PLACE),
    Mutant("in-place-restore", "kill", IN_PLACE),
    Mutant("reference-before-referent", "kill", REFERENCE),
    Mutant("commit-before-snapshot", "kill", REFERENCE),
    Mutant("index-before-pack", "kill", REFERENCE),
    Mutant("gc-of-the-reachable", "kill", "destroys what was acknowledged before"),
    Mutant("gc-blobs-first", "kill", "removed before what refers to it"),
    Mutant("unlink-then-rename", "kill", "unlink before rename"),
    Mutant("no-file-fsync", "journal", NO_FSYNC, always=True),
    Mutant("no-file-fsync-restore", "journal", NO_FSYNC),
    Mutant("no-folder-fsync", "journal", "no fsync of the folder after rename", always=True),
    Mutant("no-folder-fsync-state", "journal", "no fsync of the folder after rename"),
    Mutant("fsync-after-rename", "journal", "fsync of the file after rename, not before it"),
    Mutant("fsync-first", "journal", NO_FSYNC),
    Mutant("fsync-wrong-file", "journal", NO_FSYNC),
    Mutant("buffered-tail", "journal", NO_FSYNC),
    Mutant("no-fsync-on-clear", "journal", "no fsync of the folder after unlink"),
    Mutant("no-parent-fsync", "strict", "parent folder after mkdir", always=True),
    Mutant("cross-folder-source-only", "strict", "no fsync of both folders"),
    Mutant("gc-unordered", "strict", "no fsync of the folder after unlink"),
    Mutant("overwritten-state", "paranoid", IN_PLACE),
    Mutant("no-heal-on-retry", "killed", HEAL),
    Mutant("no-parent-heal", "killed", HEAL),
    Mutant("init-heals-nothing", "killed", HEAL),
    Mutant("swallowed-sync-error", "fault", "EIO from fsync is swallowed"),
    Mutant("swallowed-folder-sync-error", "fault", "EIO from fsync is swallowed"),
    Mutant("swallowed-write-error", "fault", "EIO from write is swallowed"),
    Mutant("swallowed-short-write", "fault", "a short write is swallowed", always=True),
    Mutant("second-fsync-trusted", "fault", ANEW),
    Mutant("found-is-trusted", "fault", ANEW),
    Mutant("temp-left", "fault", "leaves its temp file behind"),
    Mutant("dies-on-error", "fault", "an error must be answered, not died of"),
    Mutant("lost-compare-and-swap", "race", "compare-and-swap is not atomic", always=True),
    Mutant("fixed-temp-name", "race", "fails when another process does the same"),
)
