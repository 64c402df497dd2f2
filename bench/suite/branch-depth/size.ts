/** `rowsPerLevel`: rows that are updated on each branch of the chain, in pages of their own. */
export const sizes = {
  full: {
    megabytes: 32,
    depth: 100,
    rowsPerLevel: 16,
    rounds: 9,
    callsPerRound: 1_000,
    pagesPerRound: 10_000,
    wakes: 7,
  },
  smoke: {
    megabytes: 2,
    depth: 6,
    rowsPerLevel: 4,
    rounds: 1,
    callsPerRound: 20,
    pagesPerRound: 100,
    wakes: 1,
  },
};
export type DepthSize = (typeof sizes)['full'];
