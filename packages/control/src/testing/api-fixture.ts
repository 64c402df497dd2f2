import { type AddressInfo, connect } from 'node:net';
import { type CreateTokenRequest, createdToken, newBranch, problem } from '@offshoot/client';
import type { FastifyInstance, LightMyRequestResponse } from 'fastify';
import { buildApi } from '../api/build-api.js';
import { ControlFixture } from './control-fixture.js';

export const daemonToken = 'a-token-that-nobody-guesses';

/** The management API over a {@link ControlFixture} with a gateway; requests do not go by a socket. */
export class ApiFixture implements AsyncDisposable {
  readonly failures: unknown[] = [];

  #app: FastifyInstance;

  private constructor(readonly world: ControlFixture) {
    this.#app = this.#api();
  }

  static async open(...options: Parameters<typeof ControlFixture.open>): Promise<ApiFixture> {
    const world = await ControlFixture.open(...options);
    world.gateway = {
      host: '127.0.0.1',
      port: 5433,
      tls: 'allow',
      connections: 0,
      connections_total: 0,
      parked: 0,
      refused: {},
    };
    return new ApiFixture(world);
  }

  #api(): FastifyInstance {
    return buildApi(this.world.control, {
      token: daemonToken,
      version: '0',
      onFailure: (error) => this.failures.push(error),
    });
  }

  /** What only a process knows is forgotten. */
  async restart(): Promise<void> {
    await this.#app.close();
    this.#app = this.#api();
  }

  /** The same by a socket; answers the address. */
  listen(): Promise<string> {
    return this.#app.listen({ host: '127.0.0.1', port: 0 });
  }

  async send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    body?: object,
    { token = daemonToken, ...headers }: { token?: string } & Record<string, string> = {},
  ): Promise<LightMyRequestResponse> {
    return this.#app.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined ? {} : { payload: body }),
    });
  }

  /** Sends bytes as they are, with the daemon's token, and answers all that comes until the connection ends. */
  async overSocket(method: string, path: string, headersAndBody: string): Promise<string> {
    const app = this.#app;
    if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const socket = connect(port, '127.0.0.1');
    socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${daemonToken}\r\n${headersAndBody}`,
    );
    let answer = '';
    for await (const piece of socket.setEncoding('utf8')) answer += piece;
    return answer;
  }

  /** Makes a branch and answers what the API says of it. */
  async create(body: object = {}, headers: { token?: string } & Record<string, string> = {}) {
    const answer = await this.send('POST', '/v1/branches', body, headers);
    if (answer.statusCode !== 201) throw new Error(answer.body);
    return newBranch.parse(answer.json());
  }

  /** Makes a token and answers its secret. */
  async token(request: CreateTokenRequest): Promise<string> {
    const answer = await this.send('POST', '/v1/tokens', request);
    if (answer.statusCode !== 201) throw new Error(answer.body);
    return createdToken.parse(answer.json()).secret;
  }

  /** The status and code of a refusal. */
  async refusal(...call: Parameters<ApiFixture['send']>): Promise<string> {
    const answer = await this.send(...call);
    if (answer.statusCode < 400) return `${answer.statusCode}`;
    const { status, code } = problem.parse(answer.json());
    return `${status} ${code}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close();
    await this.world[Symbol.asyncDispose]();
  }
}
