"""Robot arms that learn from each other: asymmetric transfer on RobotArm.

Every task is a planar arm of three joints, and to be learned are the joint
angles that bring its end to a point. The arms differ in the lengths of their
links and have few samples each. Ways to learn them are compared:

  stl      a network per arm (single-task learning), the baseline
  mtl      a network with a shared trunk and a branch per arm
  saal_e   the same, with clones of heads on other branches where training
           every pair of arms says that they help
  saal_w   with a clone of every head on every other branch, and weights that
           Auto-Lambda learns on the validation data
  saal_ew  with the clones of saal_e, and learned weights of sum 1 per branch

Prints the test error of every arm, writes it with the settings to
results.json, draws the learned weights and the changes against stl, and
exports the best model, without clones, as the next version.

  python examples/robot_arm.py --demo
  python examples/robot_arm.py --method=stl,mtl --seeds=0,1,2,3,4
"""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

if __package__:
    from examples import _experiment, _runner
    from examples._robot_arm import RobotArm
else:
    import _experiment
    import _runner
    from _robot_arm import RobotArm

Results = dict[str, Any]


Config = _experiment.config_class(
    RobotArm,
    "robot_arm",
    demo={
        "epochs": 200,
        "seeds": (0, 1),
        "method": ("stl", "mtl", "saal_w"),
    },
)


def run(config: Config) -> Results:
    """Trains all methods with all seeds; see `_experiment.run`."""
    results = _experiment.run(config)
    if config.demo:
        print("This was a shortened run. For the full one:")
        print("  python examples/robot_arm.py --output_dir=results/full")
    return results


if __name__ == "__main__":
    _runner.main(Config, run)
