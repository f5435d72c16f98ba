"""The weights of any network: read from files in bounded memory, counted, fitted and compared.

Reading and reports need no PyTorch; `analyse` and `change`, which fit distributions, import it.
"""
