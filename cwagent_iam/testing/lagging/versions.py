"""What each replica knows: the versions of every thing, and when each replica sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import attrs

from cwagent_iam.testing.lagging.profiles import REPLICAS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from random import Random

    from cwagent_iam.testing.lagging.profiles import Plane, Profile

Key: TypeAlias = "tuple[str, str]"
"""The kind and the name of a thing."""


@attrs.frozen
class Version:
    """What a thing was from one write to the next.

    Attributes:
        copy: What the thing was then; `None` if it was gone.
        seen: When each replica of each plane gets to know; a plane left out knows at once.
        built: When each replica has its ARN.
        ghost: Until when the name of what is gone is not free.
    """

    copy: Any
    seen: Mapping[Plane, tuple[float, ...]] = attrs.field(factory=dict)
    built: tuple[float, ...] = (float("-inf"),) * REPLICAS
    ghost: float = float("-inf")

    def is_seen(self, plane: Plane, replica: int, now: float) -> bool:
        """Say whether a replica knows it."""
        return plane not in self.seen or self.seen[plane][replica] <= now

    @property
    def settled(self) -> float:
        """When everybody knows it in full, and its name is free if it is gone."""
        return max((self.ghost, *self.built, *sum(self.seen.values(), ())))


NEVER = Version(None)


@attrs.define
class Versions:
    """The history of everything in IAM, as far as it is not over.

    Attributes:
        profile: The delays.
        random: Where chance comes from.
    """

    profile: Profile
    random: Random
    _of: dict[Key, list[Version]] = attrs.field(factory=dict)

    def commit(self, key: Key, copy: Any, now: float, *, lagging: bool) -> None:
        """Note what a thing has become, or with `None`, that it is gone."""
        history = self._of.get(key, [NEVER])
        if not lagging:
            self._of[key] = [Version(copy)]
            return
        replicas = range(REPLICAS)
        seen: dict[Plane, tuple[float, ...]] = {
            plane: tuple(now + lag.seconds(replica, self.random) for replica in replicas)
            for plane, lag in self.profile.lags.items()
        }
        version = Version(copy, seen)
        if history[-1].copy is None:
            start = seen.get("read", (now,) * REPLICAS)
            version = attrs.evolve(version, built=tuple(map(self._building, replicas, start)))
        if copy is None and self.profile.ghost_names:
            ghost = now + self.profile.ghost_names.seconds(0, self.random)
            version = attrs.evolve(version, ghost=ghost)
        # What was before a version that all know by now is of no interest any more.
        over = max((i for i, each in enumerate(history) if each.settled <= now), default=0)
        self._of[key] = [*history[over:], version]

    def _building(self, replica: int, seen: float) -> float:
        if self.random.random() >= self.profile.half_built:
            return seen
        return seen + self.profile.building.seconds(replica, self.random)

    def is_ghost(self, kind: str, name: str, now: float) -> bool:
        """Say whether *name*, in whatever case, was that of something deleted a moment ago.

        Policies are known by their ARNs, but their names are unique all the same.
        """
        return any(
            history[-1].ghost > now
            for (other_kind, other), history in self._of.items()
            if kind == other_kind and name.casefold() == other.rpartition("/")[2].casefold()
        )

    def spelt(self, key: Key) -> Key:
        """Return *key* as it is written here: IAM finds names whatever their case."""
        if key in self._of:
            return key
        kind, name = key
        same = (
            each for each in self._of if (each[0], each[1].casefold()) == (kind, name.casefold())
        )
        return next(same, key)

    def at(self, key: Key, plane: Plane, replica: int | None, now: float) -> Version:
        """Return the newest version that a replica knows; the newest of all if it is `None`."""
        history = self._of.get(key, [NEVER])
        if replica is None:
            return history[-1]
        # Every replica knows the first version. A later request of the same batch may have dropped
        # older ones, so that the first version has settled a moment after *now*.
        seen = (each for each in reversed(history) if each.is_seen(plane, replica, now))
        return next(seen, history[0])

    def has(self, key: Key) -> bool:
        """Say whether there ever was a thing of that name."""
        return key in self._of

    def newest(self) -> Iterator[tuple[Key, Version]]:
        """Go through the truth."""
        return ((key, history[-1]) for key, history in self._of.items())

    def unsettled(self, now: float) -> list[Key]:
        """Name what some replica does not know in full."""
        return [key for key, history in self._of.items() if history[-1].settled > now]

    def settled(self) -> float:
        """When everybody knows everything."""
        return max((version.settled for _, version in self.newest()), default=float("-inf"))
