"""Times things in turn, so that what else the machine does falls on all of them alike."""
import math
import statistics
import time

PAUSE = 0.02  # an OpenMP runtime's threads spin for some milliseconds after its last loop
LEAST = 0.03  # seconds that one turn measures


def one_turn(function):
    """The median seconds of a call; one before them wakes threads and fills caches."""
    time.sleep(PAUSE)
    function()
    times, start = [], time.perf_counter()
    before = start
    while before - start < LEAST:
        function()
        now = time.perf_counter()
        times.append(now - before)
        before = now
    return statistics.median(times)


def all_turns(functions, rounds):
    """For each function what its turns took. Every other round goes backwards."""
    turns = [[] for _ in functions]
    for n in range(rounds):
        order = list(zip(functions, turns))
        for function, found in order[:: -1 if n % 2 else 1]:
            found.append(one_turn(function))
    return turns


def side_by_side(functions, rounds):
    """For each function the median over its turns."""
    return [statistics.median(found) for found in all_turns(functions, rounds)]


def rotate(functions):
    """A function that calls the next of them each time."""
    at = 0

    def call():
        nonlocal at
        at = (at + 1) % len(functions)
        return functions[at]()

    return call


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))
