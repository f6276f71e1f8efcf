"""The numbers of the papers, as printed."""

from __future__ import annotations

from collections.abc import Sequence

AD_TABLE_1 = """
none | .615 | 99.2 % | .0777 | .0305 | .0183 | .0064
0.02 | .615 | 99.2 % | .0040 | .0025 | .0052 | .0038
0.05 | .615 | 99.2 % | .0037 | .0024 | .0051 | .0036
0.1  | .616 | 99.2 % | .0036 | .0023 | .0051 | .0037
0.2  | .615 | 99.2 % | .0036 | .0024 | .0052 | .0035
0.5  | .615 | 99.2 % | .0036 | .0024 | .0052 | .0037
1    | .619 | 99.0 % | .0063 | .0040 | .0081 | .0057
"""

AD_TABLE_2 = """
2, no AD | 99.2 % | .0777 | .0305 | .0183
4, no AD | 99.2 % | .0702 | .0273 | .0237
6, no AD | 99.2 % | .0612 | .0236 | .0265
8, no AD | 99.1 % | .0459 | .0177 | .0236
2, AD    | 99.2 % | .0036 | .0024 | .0052
4, AD    | 99.2 % | .0018 | .0012 | .0037
6, AD    | 99.2 % | .0012 | .0008 | .0029
8, AD    | 99.2 % | .0009 | .0006 | .0024
"""

AD_TABLE_3 = """
no AD                  | 0.000  | 0.000 | .0650
second moment, 0.5, 1  | 0.379  | 0.073 | .0473
second moment, 1, 1    | 0.903  | 0.126 | .0422
second moment, 5, 1    | 4.660  | 0.342 | .0288
second moment, 0.5, 5  | 0.379  | 0.071 | .0452
second moment, 1, 5    | 0.903  | 0.128 | .0403
second moment, 5, 5    | 4.656  | 0.324 | .0288
second moment, 0.5, 10 | 0.381  | 0.078 | .0411
second moment, 1, 10   | 0.907  | 0.143 | .0365
second moment, 5, 10   | 4.660  | 0.349 | .0266
covariance, 1, 1       | (−)0.018 | 0.011 | .0612
difference, 1, 1       | (−)0.069 | 0.120 | .0521
"""
"""The signs in parentheses may be a ruled line in the text of the paper."""

CH_TABLE_1 = """
none                                   | 94.02 ± 0.09 | 5.81 ± 0.08  | 6.55 ± 0.12
initialisation                         | 94.00 ± 0.18 | 5.56 ± 0.12  | 6.32 ± 0.09
order                                  | 93.88 ± 0.17 | 5.96 ± 0.26  | 6.77 ± 0.18
order, initialisation                  | 93.86 ± 0.24 | 5.79 ± 0.18  | 6.56 ± 0.17
no augmentation                        | 89.24 ± 0.06 | 11.08 ± 0.10 | 13.07 ± 0.13
no augmentation, initialisation        | 89.00 ± 0.16 | 11.20 ± 0.23 | 13.04 ± 0.14
no augmentation, order                 | 87.67 ± 0.25 | 12.36 ± 0.16 | 14.25 ± 0.14
no augmentation, order, initialisation | 87.05 ± 0.01 | 12.20 ± 0.29 | 14.11 ± 0.17
"""

CH_TABLE_2 = {
    "CIFAR-10, ResNet-56": """
Baseline               | 1x | 93.97 ± 0.11 | 5.72 ± 0.18 | 6.41 ± 0.15 | 2.62 ± 0.12 | 53.82 ± 1.44
Entropy                | 1x | 94.05 ± 0.18 | 5.59 ± 0.21 | 6.17 ± 0.17 | 2.55 ± 0.19 | 53.33 ± 1.62
SKL                    | 1x | 93.75 ± 0.13 | 5.79 ± 0.18 | 6.03 ± 0.16 | 2.66 ± 0.15 | 52.6 ± 1.59
2-ensemble distillation | 3x | 94.62 ± 0.07 | 4.47 ± 0.13 | 4.91 ± 0.11 | 2.05 ± 0.1 | 47.25 ± 1.55
Co-distill CE          | 2x | 94.25 ± 0.15 | 5.14 ± 0.14 | 5.62 ± 0.12 | 3.03 ± 0.31 | 40.45 ± 5.98
Co-distill SKL         | 2x | 94.63 ± 0.15 | 4.29 ± 0.14 | 4.66 ± 0.11 | 2.49 ± 0.25 | 36.78 ± 4.14
Co-distill SKL + entropy | 2x | 94.63 ± 0.15 | 4.21 ± 0.15 | 4.61 ± 0.14 | 1.94 ± 0.13 | 44.29 ± 1.9
""",
    "CIFAR-100, ResNet-56": """
Baseline               | 1x | 73.26 ± 0.22 | 26.77 ± 0.26 | 37.19 ± 0.35 | 11.42 ± 0.26 | 68.77 ± 0.72
Entropy                | 1x | 73.24 ± 0.29 | 26.55 ± 0.26 | 34.58 ± 0.29 | 11.29 ± 0.32 | 68.32 ± 0.69
SKL                    | 1x | 73.35 ± 0.3 | 25.62 ± 0.36 | 28.81 ± 0.35 | 11.16 ± 0.34 | 65.42 ± 0.65
2-ensemble distillation | 3x | 76.27 ± 0.25 | 18.86 ± 0.26 | 25.43 ± 0.23 | 7.79 ± 0.23 | 54.3 ± 0.86
Co-distill CE          | 2x | 75.11 ± 0.17 | 19.55 ± 0.27 | 25.03 ± 0.27 | 9.98 ± 0.97 | 48.69 ± 2.84
Co-distill SKL         | 2x | 76.58 ± 0.16 | 17.70 ± 0.33 | 24.99 ± 0.31 | 9.08 ± 0.8 | 45.98 ± 2.98
Co-distill SKL + entropy | 2x | 76.53 ± 0.26 | 17.09 ± 0.3 | 24.06 ± 0.28 | 7.2 ± 0.26 | 49.4 ± 1.1
""",
    "ImageNet, ResNet-v2-50": """
Baseline               | 1x | 76 ± 0.11 | 15.22 ± 0.16 | 35.01 ± 0.24 | 5.87 ± 0.11 | 44.77 ± 0.46
Entropy                | 1x | 76.39 ± 0.11 | 14.92 ± 0.09 | 32.93 ± 0.18 | 5.75 ± 0.11 | 44.56 ± 0.33
SKL                    | 1x | 75.98 ± 0.08 | 15.32 ± 0.11 | 32.64 ± 0.2 | 5.99 ± 0.07 | 44.88 ± 0.37
2-ensemble distillation | 3x | 75.83 ± 0.08 | 12.92 ± 0.14 | 34.02 ± 0.2 | 4.92 ± 0.11 | 38.04 ± 0.39
Co-distill CE          | 2x | 76.12 ± 0.08 | 11.62 ± 0.21 | 18.38 ± 0.34 | 4.97 ± 0.36 | 32.67 ± 1.45
Co-distill SKL         | 2x | 76.74 ± 0.06 | 11.45 ± 0.13 | 28.66 ± 0.20 | 5.11 ± 0.36 | 32.41 ± 1.15
Co-distill SKL + entropy | 2x | 76.56 ± 0.02 | 11.05 ± 0.36 | 22.92 ± 1.01 | 4.32 ± 0.32 | 32.89 ± 1.15
""",
    "iNaturalist, ResNet-v2-50": """
Baseline               | 1x | 60.97 ± 0.26 | 26.99 ± 0.25 | 71.33 ± 0.51 | 9.45 ± 0.3 | 54.28 ± 0.5
Entropy                | 1x | 62.74 ± 0.15 | 25.84 ± 0.2 | 66.61 ± 0.47 | 9.23 ± 0.24 | 53.82 ± 0.35
Co-distill CE          | 2x | 61.1 ± 0.11 | 26.89 ± 0.22 | 70.81 ± 0.43 | 9.51 ± 0.22 | 54.18 ± 0.41
Co-distill SKL         | 2x | 61.59 ± 0.28 | 21.73 ± 0.26 | 68.11 ± 1.17 | 7.48 ± 0.34 | 44.53 ± 0.59
""",
    "SVHN, LeNet5": """
Baseline               | 1x | 87.16 ± 0.43 | 14.3 ± 0.4 | 17.52 ± 0.48 | 5.9 ± 0.33 | 70.39 ± 1.24
Entropy                | 1x | 87.24 ± 0.61 | 14.12 ± 0.42 | 16.62 ± 0.52 | 6.1 ± 0.47 | 69.31 ± 1.41
Co-distill CE          | 2x | 88.93 ± 0.39 | 9.42 ± 0.33 | 10.44 ± 0.36 | 3.84 ± 0.37 | 54.09 ± 1.83
Co-distill SKL         | 2x | 89.61 ± 0.25 | 8.49 ± 0.25 | 12.2 ± 0.35 | 3.59 ± 0.24 | 51.11 ± 1.46
""",
}

CH_TABLE_3 = {
    "CIFAR-10, ResNet-56": """
Baseline       | 91.62 ± 0.2  | 93.97 ± 0.11 | 8.4 ± 0.21  | 5.72 ± 0.18
Entropy        | 91.56 ± 0.26 | 94.05 ± 0.18 | 8.45 ± 0.25 | 5.59 ± 0.21
SKL            | 91.91 ± 0.22 | 93.75 ± 0.13 | 7.84 ± 0.24 | 5.79 ± 0.18
Co-distill SKL | 92.1 ± 0.31  | 94.63 ± 0.15 | 6.74 ± 0.32 | 4.29 ± 0.14
""",
    "CIFAR-100, ResNet-56": """
Baseline       | 68.6 ± 0.21  | 73.26 ± 0.22 | 32.23 ± 0.45 | 26.77 ± 0.26
Entropy        | 68.41 ± 0.33 | 73.24 ± 0.29 | 32.02 ± 0.42 | 26.55 ± 0.26
SKL            | 69.02 ± 0.33 | 73.35 ± 0.3  | 31.22 ± 0.38 | 25.62 ± 0.36
Co-distill SKL | 72.29 ± 0.42 | 76.58 ± 0.16 | 23.14 ± 0.83 | 17.70 ± 0.33
""",
}

CH_TABLE_4 = """
Baseline                 | 4.04 ± 0.13 | 15.23 ± 0.32 | 3.71 ± 0.12
Entropy                  | 4.19 ± 0.18 | 17.43 ± 0.26 | 6.17 ± 0.09
SKL                      | 5.41 ± 0.12 | 21.82 ± 0.16 | 6.49 ± 0.12
2-ensemble distillation  | 3.83 ± 0.05 | 13.85 ± 0.23 | 2.14 ± 0.1
Co-distill CE            | 4.13 ± 0.12 | 15.86 ± 0.13 | 11.97 ± 0.07
Co-distill SKL           | 3.88 ± 0.15 | 11.39 ± 0.15 | 2.44 ± 0.09
Co-distill SKL + entropy | 3.94 ± 0.09 | 11.55 ± 0.23 | 3.89 ± 0.39
"""

CH_TABLE_5 = {
    "CIFAR-10, ResNet-56": """
Entropy                  | 0.15 | –    | –
SKL                      | 0.05 | –    | –
2-ensemble distillation  | –    | –    | 3.0
Co-distill CE            | –    | 0.01 | –
Co-distill SKL           | –    | 0.01 | –
Co-distill SKL + entropy | 0.1  | 0.01 | –
""",
    "CIFAR-100, ResNet-56": """
Entropy                  | 0.25 | –    | –
SKL                      | 0.35 | –    | –
2-ensemble distillation  | –    | –    | 4.0
Co-distill CE            | –    | 0.04 | –
Co-distill SKL           | –    | 0.04 | –
Co-distill SKL + entropy | 0.2  | 0.04 | –
""",
    "ImageNet, ResNet-v2-50": """
Entropy                  | 0.2  | –    | –
SKL                      | 0.05 | –    | –
2-ensemble distillation  | –    | –    | 1.0
Co-distill CE            | –    | 0.02 | –
Co-distill SKL           | –    | 0.06 | –
Co-distill SKL + entropy | 0.2  | 0.06 | –
""",
    "iNaturalist, ResNet-v2-50": """
Entropy                  | 0.4  | –    | –
Co-distill CE            | –    | 0.02 | –
Co-distill SKL           | –    | 0.05 | –
""",
    "SVHN, LeNet5": """
Entropy                  | 0.2  | –    | –
Co-distill CE            | –    | 0.02 | –
Co-distill SKL           | –    | 0.02 | –
""",
}

CH_TABLE_6 = """
none                       | 91.67 ± 0.22 | 8.44 ± 0.27 | 8.71 ± 0.26
initialisation             | 91.61 ± 0.16 | 8.25 ± 0.11 | 8.69 ± 0.12
input data                 | 91.53 ± 0.13 | 2.73 ± 0.07 | 2.98 ± 0.08
initialisation, input data | 91.86 ± 0.05 | 1.33 ± 0.10 | 1.47 ± 0.05
"""
"""Rows by the marks in the header. The text contradicts them: fixed initialisation "decreases churn significantly"."""

CH_TABLE_7 = {
    "CIFAR-10, ResNet-56": "2-ensemble | 2x | 2x | 94.79 ± 0.09 | 4.02 ± 0.12 | 5.42 ± 0.09 | 1.84 ± 0.11 | 43.74 ± 1.24",
    "CIFAR-100, ResNet-56": "2-ensemble | 2x | 2x | 76.28 ± 0.24 | 20.23 ± 0.29 | 35.91 ± 0.33 | 8.26 ± 0.25 | 58.92 ± 0.83",
    "ImageNet, ResNet-v2-50": "2-ensemble | 2x | 2x | 77.24 ± 0.09 | 11.13 ± 0.13 | 27.71 ± 0.18 | 4.2 ± 0.11 | 34.63 ± 0.43",
}
"""Rows that are not in Table 2."""


def read(text: str, columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Row to column to number.

    >>> read("Baseline | 94 | 5.7", ("accuracy", "churn"))
    {'Baseline': {'accuracy': '94', 'churn': '5.7'}}
    """
    found = {}
    for line in text.strip().splitlines():
        name, *values = (cell.strip() for cell in line.split("|"))
        found[name] = dict(zip(columns, values, strict=True))
    return found


def weights_of(data: str) -> dict[str, dict[str, str]]:
    """Chosen weights in CH Table 5: row to alpha, beta and temperature.

    >>> weights_of("CIFAR-10, ResNet-56")["SKL"]
    {'alpha': '0.05', 'beta': '–', 'temperature': '–'}
    """
    return read(CH_TABLE_5[data], ("alpha", "beta", "temperature"))
