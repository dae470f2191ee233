"""Orderings that exclusions leave, counted without symmetry and without the search: the certificate of its sum.

Sites are filled one by one, conflict partners soon after each other; what must be remembered is how many atoms are
left per orbit and the species on sites that still have partners to come. Orderings with the same memory are
counted together (a transfer-matrix count), so the work follows the width of the conflict graph and not the number
of orderings.
"""

from __future__ import annotations

from halion.orderings.problem import Problem

__all__ = ["count_allowed"]


def count_allowed(problem: Problem, most_states: int = 20_000) -> int | None:
    """Number of orderings that no exclusion forbids; None when more than `most_states` would be kept at once.

    Checked by tests/orderings/test_orderings_enumerate.py against listing all of them.
    """
    orbit_of = {site: k for k, (begin, end, _) in enumerate(problem.counts) for site in range(begin, end)}
    partners = _partners(problem)
    order = _near_partners(list(orbit_of), partners)
    place = {site: k for k, site in enumerate(order)}
    left = tuple(tuple(sorted(numbers.items())) for _, _, numbers in problem.counts)
    states: dict[tuple, int] = {(left, ()): 1}
    for step, site in enumerate(order):
        following: dict[tuple, int] = {}
        orbit = orbit_of[site]
        for (left, filled), ways in states.items():
            for species, number in left[orbit]:
                if number == 0 or not _allowed(problem, site, species, filled):
                    continue
                fewer = tuple((s, n - (s == species)) for s, n in left[orbit])
                kept = [
                    each
                    for each in (*filled, (site, species))
                    if any(place[p] > step for p in partners.get(each[0], ()))
                ]
                key = ((*left[:orbit], fewer, *left[orbit + 1 :]), tuple(kept))
                following[key] = following.get(key, 0) + ways
        if len(following) > most_states:
            return None
        states = following
    return sum(states.values())


def _allowed(problem: Problem, site: int, species: int, filled: tuple[tuple[int, int], ...]) -> bool:
    if (site, species) in problem.forbidden:
        return False
    enemies = problem.conflicts.get((site, species), ())
    return not any(each in enemies for each in filled)


def _partners(problem: Problem) -> dict[int, set[int]]:
    partners: dict[int, set[int]] = {}
    for (site, _), others in problem.conflicts.items():
        partners.setdefault(site, set()).update(other for other, _ in others)
    return partners


def _near_partners(sites: list[int], partners: dict[int, set[int]]) -> list[int]:
    """Breadth first through the conflict graph, so that a site's partners follow it closely."""
    order: list[int] = []
    seen: set[int] = set()
    for start in sites:
        queue = [start] if start not in seen else []
        seen.update(queue)
        for site in queue:
            order.append(site)
            fresh = sorted(partners.get(site, set()) - seen)
            seen.update(fresh)
            queue.extend(fresh)
    return order
