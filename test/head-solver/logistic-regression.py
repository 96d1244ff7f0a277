"""Writes logistic-regression.json: scikit-learn's heads on small seeded problems, for solve.test.ts.

    pip install scikit-learn==1.7.2 && python logistic-regression.py > logistic-regression.json
"""

import json
import math

import numpy as np
from sklearn.linear_model import LogisticRegression

ROWS, WIDTH, CLASSES = 60, 5, 4


def problem():
    """Numbers that the test can make itself; the features lie around other means, at other scales."""
    rows, columns = np.meshgrid(np.arange(ROWS), np.arange(WIDTH), indexing="ij")
    labels = (np.arange(ROWS) * 7 + np.arange(ROWS) // 9) % CLASSES
    features = np.sin(1 + rows * 1.3 + columns * 2.1) + 0.7 * np.cos(labels[:, None] * (columns + 1)) + columns
    return np.float32(features * (1 + columns)).astype(np.float64), labels


def solve(features, labels, regularisation):
    mean = features.mean(0)
    deviation = math.sqrt(features.var(0).mean())
    model = LogisticRegression(C=1 / regularisation, tol=1e-12, max_iter=100_000)
    scaled = (features - mean) / deviation
    model.fit(scaled, labels)
    weights = (model.coef_ / deviation).T
    bias = model.intercept_ - mean @ weights
    logits = features @ weights + bias
    logits -= logits.max(1, keepdims=True)
    cost = np.log(np.exp(logits).sum(1)) - logits[np.arange(ROWS), labels]
    return dict(
        regularisation=regularisation,
        weights=weights.ravel().tolist(),
        bias=(bias - bias.mean()).tolist(),
        trainCost=cost.mean(),
        trainAccuracy=(logits.argmax(1) == labels).mean(),
    )


features, labels = problem()
cases = [solve(features, labels, strength) for strength in (10, 1, 0.1)]
print(json.dumps(dict(features=features.ravel().tolist(), labels=labels.tolist(), cases=cases)))
