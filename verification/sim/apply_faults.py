"""What a fault of the plan does to a simulation."""

from __future__ import annotations

from eventbus.admin import Discard, Redrive
from eventbus.kafka.records import partition_of
from verification.sim import hostile
from verification.sim.fault import Fault
from verification.sim.forger import forged
from verification.sim.memory import MemoryStore
from verification.sim.outside import Conditions
from verification.sim.release import Release
from verification.sim.simulation import Simulation


def apply(simulation: Simulation, fault: Fault) -> None:
    """Carry out one fault."""
    slots = [r for r in simulation.replicas if r.service.name == fault.service and not r.retired]
    replica = slots[min(fault.slot, len(slots) - 1)]
    match fault.what:
        case "step_fault":
            replica.step_fault = fault.step_fault
        case "kill":
            replica.kill()
        case "cut":
            replica.cut(fault.ms)
        case "deploy":
            replica.deploy(Release[fault.name])
        case "wipe":
            replica.kill()
            if not replica.process:
                simulation.say(replica.name, "loses its state directory")
                replica.store = MemoryStore(())
        case "join":
            simulation.add_replica(replica.service).start()
            simulation.notify_members(fault.service)
        case "retire" if len(slots) > 1:
            replica.retire()
            simulation.notify_members(fault.service)
        case "clock":
            simulation.say(replica.name, "its clock jumps by", fault.ms)
            replica.skew += fault.ms if fault.slot else -fault.ms
        case "gateway away":
            _outage(simulation, simulation.conditions, "gateway", fault.ms)
        case "channel away":
            _outage(simulation, simulation.channel_conditions, "channel", fault.ms)
        case "channel refuses":
            simulation.channel_conditions.poison = 0.5
        case "bug":
            simulation.say("simulation", "nobody understands", fault.name, fault.key)
            simulation.bugs.add((fault.name, fault.key))
            if fault.slot:
                simulation.clock.later(fault.ms, simulation.bugs.clear)
        case _:
            _apply_to_records(simulation, fault)


def _apply_to_records(simulation: Simulation, fault: Fault) -> None:
    partition = partition_of(fault.key.encode(), simulation.partitions)
    match fault.what:
        case "again":
            _repeat_record(
                simulation, ("order.commands", "stock.commands", "inventory.answers")[fault.at % 3]
            )
        case "compact":
            simulation.broker.compact(f"{fault.service}.retry", partition)
        case "redrive":
            simulation.send(Redrive(message_key=fault.key), f"{fault.service}.admin")
        case "discard":
            simulation.send(Discard(message_key=fault.key), "notification.admin")
        case "replay":
            simulation.say("operator", "stops", fault.service, "to begin again from offset 0")
            for replica in simulation.replicas:
                if replica.service.name == fault.service:
                    replica.kill()
            simulation.broker.groups[fault.service].committed.clear()
        case "forged":
            simulation.say("somebody", "forges", fault.name, fault.key)
            simulation.send(forged(fault.name, fault.key))
        case "foreign":
            hostile.write(simulation, fault)


def _outage(simulation: Simulation, conditions: Conditions, side: str, ms: int) -> None:
    simulation.say(side, "is away for", ms)
    conditions.away = True

    def back() -> None:
        conditions.away = False

    simulation.clock.later(ms, back)


def _repeat_record(simulation: Simulation, topic: str) -> None:
    """Append a record of the topic once more, at another offset."""
    partition = simulation.dice.randrange(simulation.partitions)
    past = [r for r in simulation.broker.log(topic, partition).visible() if not hostile.is_hostile(r)]
    if past:
        record = simulation.dice.choice(past)
        simulation.say("simulation", "repeats", f"{topic}-{partition}-{record.offset}")
        headers = [(k, v) for k, v in record.headers if k.removeprefix("ce_") not in ("cause", "keyversion")]
        simulation.broker.append(topic, partition, record.key, record.value, headers, True)
