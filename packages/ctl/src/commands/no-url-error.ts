/** The branch is there, and cannot be reached by a URL with a password. */
export class NoUrlError extends Error {
  override readonly name = 'NoUrlError';
  readonly code = 'no_url';
  readonly agentAction = 'connect on the machine of the page server: pageserver-ctl psql, or exec';

  constructor(branch: string) {
    super(`branch ${branch} is made, but the page server was started without a gateway`);
  }
}
