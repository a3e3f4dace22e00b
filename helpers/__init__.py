"""The files that readers take home, in rooms that follow the parts of the course.

    data         event logs, sessions, features, splits, vocabularies, data sets, a simulated shop
    evaluation   metrics, evidence over seeds, baselines, the limit that no model can pass
    foundations  losses, optimizers and layers in NumPy: the derivations as code
    models       sequence models, and what is carried from one platform to another; tuning, text, images
    scenarios    recommendation, marketing, fraud: from a model to a decision
    course       the notebooks' own tools: environment check, exercises, pictures

Every file stands alone: copy one next to your own code and it works. A room, and a file in it, is imported
when it is first named, so that `import helpers` costs milliseconds and loads no TensorFlow.

>>> import helpers
>>> "data" in dir(helpers)
True
"""

from helpers._lazy import lazily

__getattr__, __dir__ = lazily(__name__, __path__)
