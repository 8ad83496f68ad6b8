from benchmarks import memory


def test_memory_prints_the_peak_of_each_step(run_main):
    lines = run_main(memory.main, "--images", 64, "--memory-gib", 0.1).splitlines()
    assert [line.split(":")[0] for line in lines] == ["written", "read", "trained"]
    peaks = [float(line.split("peak ")[1].split()[0]) for line in lines]
    assert peaks == sorted(peaks)
    assert all(0.1 < peak < 20 for peak in peaks), "GiB of a process with TensorFlow"
