/**
 * `window`: branches after which is told how long creating one took; of each window the first `alone` are made one after
 * the other, the others by `clients` at once.
 */
export const sizes = {
  full: {
    branches: 10_000,
    window: 500,
    alone: 150,
    clients: 16,
    deletions: 150,
    repeats: 7,
    restSeconds: 30,
  },
  smoke: { branches: 40, window: 10, alone: 3, clients: 4, deletions: 4, repeats: 1, restSeconds: 0.2 },
};
export type ScaleSize = (typeof sizes)['full'];
