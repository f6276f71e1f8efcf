"""A keeper of states for tests of what is resumed."""


class Keeping:
    """Keeps the state after some steps, as a checkpoint would, and stops the training after some more."""

    def __init__(self, kept=None, at=3, stop=None):
        self.kept, self.at, self.stop = kept, at, stop

    def resume(self):
        return self.kept

    def after_step(self, steps, training):
        if steps == self.at:
            self.kept = steps, training.state()
        if steps == self.stop:
            raise KeyboardInterrupt
