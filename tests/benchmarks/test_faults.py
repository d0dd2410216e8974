"""The faults benchmark: its bad network, its report, and two minutes of soak of the real service."""

from __future__ import annotations

import asyncio
import json
import random
from types import SimpleNamespace

import pytest

from benchmarks.faults.__main__ import SCENARIOS, main
from benchmarks.faults.outcome import Outcome, report
from benchmarks.faults.relay import Conditions, Line, Relay, gateway_of, led_through, without_candidates
from benchmarks.faults.vitals import Sample, Vitals, by_minute, growth, holds_no_more
from nano_omni import weights_dir
from nano_omni.build import build

ANSWER = """v=0\r
m=audio 1 UDP/TLS/RTP/SAVPF 111\r
a=candidate:a 1 udp 2130706431 fd00::2 40000 typ host\r
a=candidate:b 1 udp 2130706431 192.0.2.2 40001 typ host\r
a=candidate:c 1 udp 16777215 203.0.113.1 40002 typ relay raddr 192.0.2.2 rport 9\r
a=end-of-candidates\r
m=video 1 UDP/TLS/RTP/SAVPF 96\r
a=candidate:b 1 udp 2130706431 192.0.2.2 40001 typ host\r
"""


def test_a_line_loses_and_delays_as_it_is_told() -> None:
    line = Line(Conditions(loss=0.05, delay_s=0.1, jitter_s=0.03), random.Random(1))
    arrivals = [line.arrival(float(n), 1000) for n in range(10_000)]
    late = [at - n for n, at in enumerate(arrivals) if at is not None]
    assert 0.04 < 1 - len(late) / len(arrivals) < 0.06
    assert 0.07 <= min(late) < 0.071
    assert 0.129 < max(late) <= 0.13 + 1e-9


def test_a_slow_line_queues_and_then_drops() -> None:
    line = Line(Conditions(bits_per_s=1e6), random.Random(1))
    arrivals = [line.arrival(0.0, 1_000) for _ in range(100)]
    taken = [at for at in arrivals if at is not None]
    assert taken[:2] == pytest.approx([0.008, 0.016])
    assert 1_000 * len(taken) == pytest.approx(64_000, abs=1_000)
    assert line.arrival(1.0, 1_000) == pytest.approx(1.008)


def test_signalling_leads_through_the_relay_only() -> None:
    assert gateway_of(ANSWER) == ("192.0.2.2", 40001)
    led = led_through(ANSWER, ("192.0.2.2", 5000))
    candidates = [line for line in led.splitlines() if line.startswith("a=candidate:")]
    assert candidates == ["a=candidate:1 1 udp 2130706431 192.0.2.2 5000 typ host"] * 2
    assert "candidate:" not in without_candidates(ANSWER)
    with pytest.raises(ValueError, match="no IPv4"):
        gateway_of("v=0\r\n")


@pytest.mark.default
async def test_the_relay_carries_both_ways_until_it_is_cut() -> None:
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    class End(asyncio.DatagramProtocol):
        def __init__(self, name: str) -> None:
            self.name = name
            self.seen: tuple[str, int] | None = None

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.seen = addr
            received.put_nowait((self.name, data))

    (gateway_port, gateway), (camera_port, _) = [
        await loop.create_datagram_endpoint(lambda name=name: End(name), local_addr=("127.0.0.1", 0))
        for name in ("gateway", "camera")
    ]
    relay = await Relay(Conditions(delay_s=0.01), random.Random(0)).open(gateway_port.get_extra_info("sockname"))
    camera_port.sendto(b"hello", relay.address)
    assert await received.get() == ("gateway", b"hello")
    gateway_port.sendto(b"yes", gateway.seen)
    assert await received.get() == ("camera", b"yes")
    relay.is_cut = True
    camera_port.sendto(b"anyone?", relay.address)
    await relay.dropping.wait()
    relay.is_cut = False
    camera_port.sendto(b"again", relay.address)
    assert await received.get() == ("gateway", b"again")
    assert (relay.carried, relay.dropped) == (3, 1)
    relay.close()
    gateway_port.close()
    camera_port.close()


def test_a_promise_once_broken_stays_so() -> None:
    outcome = Outcome("storm", figures={"waves": 3})
    assert not outcome.passed  # nothing was checked
    outcome.check("it floats", True)
    assert outcome.passed
    outcome.check("it floats", False)
    outcome.check("it floats", True)
    assert not outcome.passed
    assert outcome.as_json() == {"passed": False, "checks": {"it floats": False}, "waves": 3}
    assert "NO" in report([outcome])
    assert "storm: waves 3" in report([outcome])


async def test_samples_that_stop_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    vitals, failed = Vitals(SimpleNamespace(), SimpleNamespace(), minutes=1e-6), asyncio.Event()
    first = True

    async def sample() -> None:
        nonlocal first
        if not first:
            failed.set()
            raise OSError("no such process")
        first = False

    monkeypatch.setattr(vitals, "sample", sample)
    with pytest.raises(OSError, match="no such process"):
        async with vitals:
            await failed.wait()


def hour(leak_mib: float, *, warm_up_mib: float = 0.0, minutes: float = 60.0) -> list[Sample]:
    """A service that allocates while it warms up, and then loses so many MiB an hour."""
    noise, found = random.Random(0), []
    for n in range(241):
        share = n / 240
        held = 300 + warm_up_mib * min(1.0, 4 * share) + leak_mib * share * minutes / 60 + noise.uniform(-4, 4)
        found.append(Sample(60 * minutes * share, held, 500, 20, 9, 30))
    return found


def test_memory_is_flat_unless_it_grows_after_the_warm_up() -> None:
    assert growth(hour(0), "gateway").flat
    assert growth(hour(0, warm_up_mib=200), "gateway").flat
    leak = growth(hour(30), "gateway")
    assert not leak.flat
    assert leak.mib_an_hour == pytest.approx(30, abs=2)
    assert growth(hour(30), "engine") == growth(hour(0), "engine")
    assert growth(hour(600, minutes=2), "gateway").flat  # 15 MiB: allocators settle
    assert not growth(hour(6_000, minutes=2), "gateway").flat
    with pytest.raises(ValueError, match="too few"):
        growth(hour(0)[:1], "gateway")


def test_what_is_left_is_counted_and_time_is_told_by_minutes() -> None:
    before, now = Sample(0, 300, 500, 20, 9, 30), Sample(60, 300, 500, 25, 11, 32)
    assert holds_no_more(now, before, 2)
    assert not holds_no_more(now, before, 1)
    columns = by_minute(hour(0, minutes=3))
    assert columns["at_s"] == pytest.approx([0, 59.25, 119.25, 179.25, 180])
    outcome = Outcome("long", columns=columns)
    assert outcome.as_json()["over_time"] == columns
    assert "gateway_mib" in report([outcome])


def test_an_unknown_scenario_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--only", "earthquake"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in SCENARIOS)


@pytest.mark.default
def test_sessions_that_come_and_go_leave_nothing(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    model = weights_dir()
    if not (model / "config.json").is_file():
        model = tmp_path_factory.mktemp("nano")
        build(model, seed=0)
    status = main(["--only", "soak", "--soak-minutes", "2", "--model", str(model), "--set", "engine.threads=1"])
    printed = capsys.readouterr().out.splitlines()
    found = json.loads(printed[-1])
    assert status == 0, printed
    assert found["bench"] == "faults"
    assert found["passed"]
    assert found["scenarios"]["soak"]["rounds"] >= 3
