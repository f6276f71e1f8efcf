import torch

# As in the worker processes: two threads change bits, and fight with the tests that run beside them.
torch.set_num_threads(1)
