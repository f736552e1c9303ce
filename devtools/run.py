"""`./dev run`: boots a scenario and hands over its console, or drives it unattended."""

import argparse
import sys
from pathlib import Path

from devtools import boot, scenario
from devtools.machine import Machine
from devtools.relay import LEAVE_NAME, relay
from devtools.report import Problem, progress
from devtools.script import Script, Send

UNATTENDED_SECONDS = 300


def main(arguments: argparse.Namespace) -> int:
    scenarios = scenario.every()
    if arguments.list:
        width = max(len(each.name) for each in scenarios)
        for each in scenarios:
            print(f"{each.name:{width}}  {each.description}")
        return 0
    chosen = scenario.load(arguments.scenario) if arguments.scenario else scenarios[0]
    script = Script([text.encode() for text in arguments.until], [Send.parse(text) for text in arguments.send])
    options = boot.Options(
        cpu=arguments.cpu,
        cpus=arguments.cpus,
        firmware=arguments.firmware,
        emulator=arguments.emulator,
        icount=arguments.icount,
        seed=arguments.seed,
        hypervisor=Path(arguments.hypervisor) if arguments.hypervisor else None,
    )
    try:
        command = boot.command(chosen, options)
    except Problem as problem:
        raise Problem(str(problem), 2) from None
    progress(f"{chosen.name}: {chosen.description}")
    serial = Path(arguments.serial) if arguments.serial else None
    with Machine(command, serial, sys.stdout.buffer) as machine:
        if script.until or script.sends:
            return unattended(machine, script, arguments.timeout or UNATTENDED_SECONDS)
        progress(keys(chosen.machine.hypervisor))
        relay(machine, arguments.timeout)
        print(file=sys.stderr)
        progress("left the machine and stopped it" if machine.running else "the machine stopped")
    return 0


def unattended(machine: Machine, script: Script, timeout: float) -> int:
    """0 when every text appeared, 1 when the time was over or the machine stopped first, 2 when it never ran."""
    if script.follow(machine, timeout):
        return 0
    for text in script.until:
        why = f"within {timeout:g} s" if machine.running else "before the machine stopped"
        progress(f"{text.decode()!r} did not appear {why}")
    return 2 if machine.refused else 1


def keys(hypervised: bool) -> str:
    """What a person has to know before the keyboard is the machine's."""
    switch = "Ctrl-A three times moves the keyboard on to the next guest or the hypervisor; " if hypervised else ""
    return f"{switch}{LEAVE_NAME} leaves and stops the machine"
