import random

import pytest

from firmware_sim.propagation import METAL_WALL_DB, SENSITIVITY_DBM, Path, Reception, chance


def test_each_tenfold_distance_and_each_wall_costs_its_decibels() -> None:
    one, ten = Path(1.0).mean_dbm(), Path(10.0).mean_dbm()
    assert one == -36.0
    assert one - ten == pytest.approx(22.0)
    assert ten - Path(10.0, metal_walls=2).mean_dbm() == 2 * METAL_WALL_DB


def test_closer_than_the_antenna_is_no_closer() -> None:
    assert Path(0.01).mean_dbm() == Path(0.1).mean_dbm()


@pytest.mark.parametrize(("rssi", "lowest", "highest"), [(SENSITIVITY_DBM, 0.5, 0.5), (-80, 0.99, 1), (-110, 0, 0.01)])
def test_chance(rssi: float, lowest: float, highest: float) -> None:
    assert lowest <= chance(rssi) <= highest


def packets(path: Path, seed: int, count: int = 2000) -> list[int | None]:
    reception = Reception(path, random.Random(seed))  # noqa: S311 - repeatable, not secret
    return [reception.receive() for _ in range(count)]


def test_same_seed_same_luck() -> None:
    path = Path(20.0, metal_walls=1)
    assert packets(path, 1) == packets(path, 1)
    assert packets(path, 1) != packets(path, 2)


def test_what_is_weak_is_lost_more_often() -> None:
    shares = [packets(Path(distance_m, 1, shadowing_db=0.0), 3).count(None) for distance_m in (3.0, 30.0, 60.0, 400.0)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(2000, abs=20)
