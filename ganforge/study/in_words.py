"""The metrics of a run, in words."""

from __future__ import annotations

from typing import Any

from ganforge.showing.words import duration


def rows(e: dict[str, Any]) -> list[tuple[str, str]]:
    """Return an evaluation as names and words."""
    gap, cost = e["gap"], e["cost"]
    table = picture_rows(e) if "swd" in e else vector_rows(e)
    if "critters" in e:
        c = e["critters"]
        table.append(
            (
                "modes",
                f"{c['modes']} of {c['of']} covered (a perfect generator: {c['expected']:.0f}), precision "
                f"{c['precision']:.1%}; classifier accuracy {c['reader']['mode']:.1%} on real critters",
            )
        )
    if "modes" in e and "classifier" in e["modes"]:
        table += stacked_rows(e["modes"])
    if "imagenet" in e:
        table += imagenet_rows(e["imagenet"])
    if "inception" in e:
        i = e["inception"]
        table.append(("FID", f"{i['fid']:.2f}, KID {i['kid']:.4f}{plus_minus(i['kid_error'])} by {i['weights']}"))
    if "loss_gap" in gap:
        balanced = f", in balance {gap['balanced']:.0%} of the second half" if "balanced" in gap else ""
        accuracy = f", D accuracy {gap['d_accuracy']:.0%}" if "d_accuracy" in gap else ""
        table.append(("balance", f"gap between the losses {gap['loss_gap']:.2f}{accuracy}{balanced}"))
    flops = cost["flops"]
    memory = f", {cost['peak_memory'] / 1e9:.2f} GB peak memory" if "peak_memory" in cost else ""
    table += [
        (
            "cost",
            f"G {cost['parameters']['generator']:,} parameters, {flops['generator'] / 1e6:.1f} MFLOP per picture; "
            f"D {cost['parameters']['discriminator']:,}, {flops['discriminator'] / 1e6:.1f}",
        ),
        ("time", f"{duration(cost['seconds'] or 0)}{memory}"),
    ]
    return table


def vector_rows(e: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is measured of vectors alone."""
    table = [("diversity", f"{e['spread']['mean']:.3g} between vectors (real {e['spread']['real_mean']:.3g})")]
    if "modes" in e:
        m = e["modes"]
        kl = "" if m["reverse_kl"] is None else f"; reverse KL {m['reverse_kl']:.3f}"
        share = f"{m['high_quality']:.1%} of vectors within 3 standard deviations of a mode"
        table.append(("modes", f"{m['covered']} of {m['of']} covered, {share}{kl}"))
        if "rare" in m:
            table.append(("rare mode", f"{m['rare']:.2f} times its share"))
    return table


def picture_rows(e: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is measured of pictures alone."""
    levels = ", ".join(f"{side} px {e['swd'][side]:.1f}" for side in e["swd"] if side.isdigit())
    kid, copies, tone = e["kid"], e["memorising"], e["tone"]
    return [
        ("SWD", f"{e['swd']['mean']:.1f} ×10⁻³ ({levels}){floor(e['swd'], '.1f')}"),
        ("tone", f"{tone['distance']:.1f} levels{floor(tone, '.1f')}: {toned(tone)}"),
        (
            "KID",
            f"{kid['value']:.4f}{plus_minus(kid['error'])} by {kid['features']}{floor(kid, '.4f')}",
        ),
        (
            "diversity",
            f"{e['spread']['mean']:.0f} levels between pictures (real {e['spread']['real_mean']:.0f}), "
            f"{e['spread']['nearest']:.0f} to the nearest (real {e['spread']['real_nearest']:.0f})",
        ),
        (
            "copies",
            f"{copies['share']:.1%} of pictures (training pictures among themselves {copies['real_share']:.1%})",
        ),
    ]


def stacked_rows(m: dict[str, Any]) -> list[tuple[str, str]]:
    """Return which modes of the stacks were found, and how far that number can be trusted."""
    by = m["classifier"]
    found = f"{m['covered']:,} of {m['of']:,} covered by {m['samples']:,} pictures, KL {m['reverse_kl']:.3f}"
    others = (("held-out stacks", m["floor"]), ("one mode repeated", m["ceiling"]))
    told = []
    often = m.get("by_class", {})
    if often:
        least, most = min(often, key=often.__getitem__), max(often, key=often.__getitem__)
        told.append(
            ("by class", f"'{least}' at {often[least]:.2f} times its share, '{most}' at {often[most]:.2f} times")
        )
    if "rare" in m:
        told.append(("rare class", f"{m['rare']:.2f} times its share"))
    if asked := m.get("asked"):
        worst = min(asked, key=asked.__getitem__)
        mean = sum(asked.values()) / len(asked)
        told.append(
            ("conditioning", f"{mean:.1%} of pictures show the requested class; lowest '{worst}' {asked[worst]:.1%}")
        )
    return [
        ("modes", found),
        *told,
        *((name, f"{one['covered']:,} covered, KL {one['reverse_kl']:.3f}") for name, one in others),
        ("classifier", f"right on {by['accuracy']:.1%} of {by['held_out']:,} held-out pictures"),
    ]


def imagenet_rows(i: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the scores by an ImageNet network."""
    least = i["floor"] or {}
    real = f"; real against real {least['fd']:.2f}" if least else ""
    sides = f"{i['generated']:,} pictures and {i['real']:,} real ones"
    table = [
        ("FD", f"{i['fd']:.2f} by {i['features']}, {sides}{real}"),
        ("", f"KID {i['kid']:.4f}{plus_minus(i['kid_error'])}"),
    ]
    names = ("precision", "recall", "density", "coverage")
    for some in (names[:2], names[2:]):
        if some[0] in i:
            floors = ", ".join(f"{least[name]:.3f}" for name in some if name in least)
            words = ", ".join(f"{name} {i[name]:.3f}" for name in some)
            table.append(("", words + (f"; real against real {floors}" if floors else "")))
    if i.get("known_to_discriminator"):
        table.append(("", "the discriminator looks through this very network, which flatters these scores"))
    return table


def plus_minus(error: float | None) -> str:
    """Return a standard error in words; empty if there are too few pictures to know it."""
    return "" if error is None else f" ± {error:.4f}"


def floor(metric: dict[str, Any], form: str) -> str:
    """Return the score of real pictures against real ones, in words; empty if there are too few pictures."""
    return "" if metric["floor"] is None else f"; real against real {metric['floor']:{form}}"


def toned(tone: dict[str, Any]) -> str:
    """Return the parts of the tone in words."""
    words = [f"brightness {tone['brightness']:+.1f}", f"contrast {tone['contrast']:+.1f}"]
    if len(tone["cast"]) == 3:
        words += [f"{name} {shift:+.1f}" for name, shift in zip(("red", "green", "blue"), tone["cast"])]
    return ", ".join(words)
