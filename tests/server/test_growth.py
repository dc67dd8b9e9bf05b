"""What is new costs by what is new: the same answers as from everything, and the rows it took."""

from __future__ import annotations

from random import Random

import pytest

from reference.core.closure import Closure, Lookups, closure
from reference.core.history import merge_base
from reference.server import history, trees
from reference.server.collection import collect
from reference.server.gathering import gather
from reference.server.service import Service
from reference.wire.ids import to_raw
from reference.wire.records import check_snapshot, parents

from .forge import Forge
from .peer import Peer


def everything(forge: Forge) -> Lookups:
    """A repository that has all that was forged."""
    records = {oid: check_snapshot(record) for oid, record in forge.snapshots.items()}
    return Lookups(forge.commits.get, records.__getitem__, forge.trees.__getitem__)


def grown(random: Random, forge: Forge, tips: list[str]) -> list[str]:
    """A few commits on random earlier ones: merges, reverts, the same trees once more."""
    made = []
    for _ in range(random.randrange(1, 4)):
        on = random.sample(tips, min(len(tips), random.choice((0, 1, 1, 1, 2))))
        files = dict(forge.files(on[0])) if on else {}
        for _ in range(random.randrange(3)):
            files[random.choice("abcde")] = random.choice((b"1", b"2", b"3", b"4"))
        if files and random.random() < 0.3:
            del files[random.choice(sorted(files))]
        made.append(forge.commit(files, *on))
        tips.append(made[-1])
    return made


def summed(found: Closure) -> tuple[list[str], list[str], list[str]]:
    """A closure without the order that is free."""
    commits = sorted(commit["commit_id"] for commit in found.commits)
    return commits, sorted(s["snapshot_id"] for s in found.snapshots), sorted(found.objects)


@pytest.mark.requirement("FETCH-006", "FETCH-007", "FETCH-008", "HTTP-029", "HTTP-039", "PUSH-009")
@pytest.mark.parametrize("seed", range(6))
async def test_what_is_read_from_the_end_is_what_all_of_it_says(
    service: Service, alice: Peer, repo: str, forge: Forge, seed: int
) -> None:
    """Closures, bases and descent, after pushes in any order, are those of the whole graph."""
    random, tips = Random(seed), list[str]()
    raw = to_raw((await alice.get(f"{repo}/refs")).json()["repo_id"])
    for push in range(12):
        made = grown(random, forge, tips)
        answer = await alice.push(repo, forge.pack(made), made[-1], f"b{push}")
        missing = answer.status_code != 200 and answer.json()["error"]["code"]
        if missing:  # a pack whose last commit leans on another one of the same push
            answer = await alice.push(repo, forge.pack(), made[-1], f"b{push}")
        assert answer.is_success, answer.text
    look = everything(forge)

    def parents_of(commit_id: str) -> list[str]:
        return parents(forge.commits[commit_id])

    for _ in range(25):
        want = random.sample(tips, random.randrange(1, 3))
        have = random.sample(tips, random.randrange(3))
        one, two = random.choice(tips), random.choice(tips)
        async with service.database.session() as db:
            found = await gather(db, raw, want, [*have, "sha256:" + "0" * 64])
            bases = await history.merge_bases(db, raw, one, two)
            descends = await history.descends(db, raw, [one], two)
        assert summed(found) == summed(closure(look, want, have))
        known = {forge.commits[c]["snapshot_id"] for c in history_of(forge, have)}
        for record in found.snapshots:
            assert record["parent_snapshot_id"] in known | {None}
            known.add(record["snapshot_id"])
        assert min(bases, default=None) == merge_base(parents_of, one, two)
        assert descends == (two in history_of(forge, [one]))


def history_of(forge: Forge, starts: list[str]) -> set[str]:
    """All that these commits descend from, and they themselves."""
    found = set(starts)
    while more := {parent for own in found for parent in parents(forge.commits[own])} - found:
        found |= more
    return found


async def rows_read(service: Service) -> dict[str, int]:
    """How many rows each table has given so far, by whatever way; `manifests` is a small cache."""
    async with service.database.session() as db:
        await db.execute("SELECT pg_stat_force_next_flush()")
    async with service.database.session() as db:
        rows = await db.fetch(
            "SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS read"
            " FROM pg_stat_user_tables WHERE relname IN"
            " ('commits', 'snapshots', 'snapshot_refs', 'object_refs', 'mpack_index')"
        )
    return {row["relname"]: row["read"] for row in rows}


async def test_one_commit_reads_as_many_rows_on_any_history(
    service: Service, alice: Peer, repo: str
) -> None:
    """A push, a fetch, a negotiation and a merge of what is new, on 300 commits and on 1,500."""
    read: list[list[dict[str, int]]] = []
    for length in (300, 1500):
        forge, files, line = Forge(), {f"{n}.txt": b"0" for n in range(20)}, list[str]()
        for n in range(length):
            files[f"{n % 20}.txt"] = f"{length} {n}".encode()
            line.append(forge.commit(files, *line[-1:]))
        await alice.push(repo, forge.pack(), line[-1], f"main-{length}")
        async with service.database.session() as db:
            await db.execute("ANALYZE")
        new = forge.commit({**files, "new": f"new {length}".encode()}, line[-1])
        side = forge.commit({**files, "side": f"side {length}".encode()}, line[-2])
        counts = []
        for call in (
            lambda f=forge, n=new, at=length: alice.push(repo, f.pack([n]), n, f"main-{at}"),
            lambda n=new, have=line[-1]: alice.fetch(repo, n, have=(have,)),
            lambda n=new, have=line[-1]: alice.post(
                f"{repo}/negotiate", {"want": [n], "have": [have]}
            ),
            lambda f=forge, s=side, at=length: alice.push(repo, f.pack([s]), s, f"side-{at}"),
            lambda at=length: alice.post(
                f"{repo}/merge", {"source": f"side-{at}", "target": f"main-{at}"}
            ),
        ):
            before = await rows_read(service)
            await call()
            after = await rows_read(service)
            counts.append({table: after[table] - before[table] for table in after})
        read.append(counts)
    for small, large in zip(*read, strict=True):
        assert sum(large.values()) > 0
        more = {name: n for name, n in large.items() if n > small[name] + 100}
        assert not more, (small, large)


@pytest.mark.requirement("STORAGE-007")
async def test_full_manifests_can_be_dropped(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """They shorten what is read, and change no answer; collection keeps only those of use."""
    line = forge.line(60)
    await alice.push(repo, forge.pack(), line[-1])
    names = [forge.commits[commit]["snapshot_id"] for commit in line]
    async with service.database.session() as db:
        kept = await db.fetchval("SELECT count(*) FROM manifests")
        with_them = await trees.load(db, names[-1:])
        await db.execute("DELETE FROM manifests")
        without = await trees.load(db, names)
    assert kept
    assert with_them.cost(names[-1]) < without.cost(names[-1])
    for name in names:
        assert dict(without.tree(name)[0]) == forge.trees[name][0]
    assert with_them.tree(names[-1])[0] == without.tree(names[-1])[0]
    again = forge.line(60, line[-1], name="more")
    assert (await alice.push(repo, forge.pack(again), again[-1])).is_success
    async with service.database.session() as db:
        assert await db.fetchval("SELECT count(*) FROM manifests")
    await alice.request(
        "DELETE", "/api/repos/" + (await alice.get(f"{repo}/refs")).json()["repo_id"]
    )
    await collect(service)
    async with service.database.session() as db:
        assert await db.fetchval("SELECT count(*) FROM manifests") == 0


async def test_a_commit_of_a_known_tree_brings_no_snapshot(
    service: Service, alice: Peer, repo: str, forge: Forge
) -> None:
    """A revert's pack holds one record: what its snapshot stands on is not even loaded."""
    line = forge.line(30)
    await alice.push(repo, forge.pack(), line[-1])
    revert = forge.commit(forge.files(line[4]), line[-1])
    pack = forge.pack([revert], snapshots=[], blobs=[])
    assert (await alice.push(repo, pack, revert)).json()["snapshots_written"] == 0
    found = await alice.fetch(repo, revert, have=(line[-1],))
    assert (found["commit_count"], found["blob_count"]) == (1, 0)
