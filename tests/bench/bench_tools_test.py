"""What scripts/figures and scripts/bench decide and compute, without brokers: a tool that measures must itself be right."""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "scripts" / "lib"), str(HERE)]

import kills  # noqa: E402


class Plans(unittest.TestCase):
    def test_a_kill_hits_what_it_is_meant_to_hit_wherever_the_controller_is(self):
        for controller in (1, 2, 3):
            for kind in kills.KILLS:
                with self.subTest(controller=controller, kind=kind):
                    victim, replicas = kills.plan(kind, controller, [1, 2, 3])
                    leaders = [r[0] for r in replicas]
                    self.assertTrue(all(sorted(r) == [1, 2, 3] for r in replicas))
                    self.assertEqual(len(set(leaders)), 2)
                    self.assertEqual(victim == controller, kind != "leader")
                    self.assertEqual(victim in leaders, kind != "controller")


if __name__ == "__main__":
    unittest.main()
