"""Multinomial logistic regression along a path of penalties, solved to convergence where features are badly scaled.

What is tried is up to C = 10^5 on raw transformer features, whose directions differ in scale by orders of magnitude: for high C
L-BFGS, as scikit-learn runs it, does not converge within the published 1000 iterations, and scikit-learn's Newton solver forms
the Hessian in every step. Here features are rotated and scaled so that the Hessian is the identity at coefficients of
zero. There a Newton step takes a few conjugate gradients; where it comes to take as many as forming the Hessian costs, which
is for high C only, the Hessian is formed. Each C starts from the solution of the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, helmert
from scipy.special import log_softmax

ARMIJO = 1e-4
"""Share of the decrease its slope promises that a step must bring."""


@dataclass(frozen=True)
class Solution:
    """Coefficients (classes x width) and intercepts (classes,), both summing to 0 over classes; the steps they took."""

    coef: np.ndarray
    intercept: np.ndarray
    steps: int
    converged: bool


def solutions(X: np.ndarray, codes: np.ndarray, classes: int, Cs: Sequence[float], tol: float, max_iter: int) -> list[Solution]:
    """The minima of C * sum of log losses + half the squared norm of the coefficients, for every C, in their order.

    X : N x width, float64. codes : class of each row, from 0. Cs : best ascending, as each starts from the one before.
    tol : greatest norm of the gradient of the mean loss in the scaled directions; also met where rounding allows no more.
    """
    problem = _Problem(X, codes, classes)
    return [problem.solved(C, tol, max_iter) for C in Cs]


class _Problem:
    """One set of rows. Coefficients are kept in the rotated directions and, over classes, as Helmert contrasts."""

    def __init__(self, X: np.ndarray, codes: np.ndarray, classes: int):
        self.contrast = helmert(classes)  # (classes - 1) x classes, orthonormal, so that the penalty is the same in it
        self.hot = np.eye(classes)[codes]
        self.rows = len(X)
        self.mean = X.mean(0)
        centred = X - self.mean
        squared, self.directions = np.linalg.eigh(centred.T @ centred)
        self.rotated = np.hstack([centred @ self.directions, np.ones((self.rows, 1))])
        self.curvature = np.append(np.maximum(squared, 0), self.rows) / (self.rows * classes)
        self.current = np.zeros((len(self.curvature), classes - 1))
        self.dense = False

    def solved(self, C: float, tol: float, max_iter: int) -> Solution:
        penalty = np.append(np.full(len(self.mean), 1 / (C * self.rows)), 0.0)  # none of the intercept
        scale = 1 / np.sqrt(self.curvature + penalty)
        self.scaled, self.penalty = self.rotated * scale, (penalty * scale**2)[:, None]
        found = self.current / scale[:, None]
        loss, chance = self._loss(found)
        converged = False
        for steps in range(1, max_iter + 1):  # noqa: B007
            gradient = self.scaled.T @ ((chance - self.hot) @ self.contrast.T) / self.rows + self.penalty * found
            norm = np.sqrt((gradient**2).sum())
            if norm <= tol:
                converged = True
                break
            direction = self._direction(gradient, norm, chance, tol)
            slope, length = (gradient * direction).sum(), 1.0
            while True:
                ahead, its_chance = self._loss(found + length * direction)
                if ahead <= loss + ARMIJO * length * slope or length < 1e-6:
                    break
                length /= 2
            if ahead >= loss:  # what is left to gain is below rounding
                converged = True
                break
            found, loss, chance = found + length * direction, ahead, its_chance
        self.current = found * scale[:, None]
        weights = self.current @ self.contrast
        coef = (self.directions @ weights[:-1]).T
        return Solution(coef, weights[-1] - coef @ self.mean, steps, converged)

    def _loss(self, found: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_softmax(self.scaled @ found @ self.contrast, axis=1)
        return -float((logs * self.hot).sum()) / self.rows + float((self.penalty * found**2).sum()) / 2, np.exp(logs)

    def _direction(self, gradient: np.ndarray, norm: float, chance: np.ndarray, tol: float) -> np.ndarray:
        """Newton's direction; by conjugate gradients as exactly as the distance to the minimum deserves, or from the Hessian."""
        if self.dense:
            try:
                factor = cho_factor(self._hessian(chance), overwrite_a=True, check_finite=False)
                return -cho_solve(factor, gradient.T.ravel()).reshape(gradient.shape[::-1]).T
            except LinAlgError:  # of classes told apart beyond rounding; conjugate gradients stop in time
                pass
        enough = max(min(0.5, np.sqrt(norm)) * norm, tol / 10)
        direction, left = np.zeros_like(gradient), -gradient
        towards, squared = left, norm**2
        for used in range(1, 4 * gradient.size + 1):  # noqa: B007
            moved = self.scaled @ towards @ self.contrast * chance
            moved -= chance * moved.sum(1, keepdims=True)
            curved = self.scaled.T @ (moved @ self.contrast.T) / self.rows + self.penalty * towards
            length = squared / (towards * curved).sum()
            direction, left = direction + length * towards, left - length * curved
            before, squared = squared, (left**2).sum()
            if np.sqrt(squared) <= enough:
                break
            towards = left + squared / before * towards
        self.dense |= used > gradient.size / 8  # operations of forming the Hessian over those of a conjugate gradient
        return direction

    def _hessian(self, chance: np.ndarray) -> np.ndarray:
        contrasts, width = len(self.contrast), self.scaled.shape[1]
        means = chance @ self.contrast.T
        hessian = np.empty((contrasts, width, contrasts, width))
        for a in range(contrasts):
            for b in range(a + 1):
                weight = chance @ (self.contrast[a] * self.contrast[b]) - means[:, a] * means[:, b]
                hessian[a, :, b] = self.scaled.T @ (self.scaled * weight[:, None]) / self.rows
                hessian[b, :, a] = hessian[a, :, b]
            hessian[a, :, a][np.diag_indices(width)] += self.penalty[:, 0]
        return hessian.reshape(contrasts * width, -1)
