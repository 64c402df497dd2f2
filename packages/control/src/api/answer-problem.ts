import type { Socket } from 'node:net';
import { baseError } from '@offshoot/types';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { controlError } from '../control-errors.js';
import { toProblem } from '../problem.js';

/** Told of every failure that is not the caller's doing. */
export type FailureListener = (error: unknown, request: { method: string; url: string }) => void;

const mediaType = 'application/problem+json; charset=utf-8';

/** Answers any thrown thing as problem details. */
export function answerProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  onFailure: FailureListener,
): FastifyReply {
  const problem = toProblem(refusalOfFramework(error));
  if (problem.status >= 500) onFailure(error, { method: request.method, url: request.url });
  const { retry_after_ms: retryAfterMs } = problem;
  if (retryAfterMs !== undefined) reply.header('retry-after', String(Math.ceil(retryAfterMs / 1000)));
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
  return reply.code(problem.status).type(mediaType).send(problem);
}

/** Answers what is not HTTP, or too much of it; there is no request then, only its socket. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, detail] = brokenRequests[error.code ?? ''] ?? notHttp;
  const body = JSON.stringify({ ...toProblem(baseError('invalid_argument', detail)), status });
  const head = `HTTP/1.1 ${status} ${reason}\r\nContent-Type: ${mediaType}\r\nConnection: close\r\n`;
  socket.end(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

const notHttp = [400, 'Bad Request', 'that is no HTTP request'] as const;

const brokenRequests: Readonly<Record<string, readonly [number, string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'the request did not come in time'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'the headers are too large'],
};

const ownRefusals: Readonly<Record<number, readonly [Parameters<typeof controlError>[0], string]>> = {
  413: ['request_too_large', 'the body of the request is too large'],
  415: ['media_type_unsupported', 'the body of the request is not said to be application/json'],
};

/** Fastify's own refusals (body too large, wrong media type, bad URL) are the caller's to mend. */
function refusalOfFramework(error: unknown): unknown {
  if (!(error instanceof Error) || !('statusCode' in error)) return error;
  const { statusCode, message } = error;
  if (typeof statusCode !== 'number' || statusCode < 400 || statusCode >= 500) return error;
  const own = ownRefusals[statusCode];
  return own === undefined
    ? baseError('invalid_argument', message, { cause: error })
    : controlError(...own, { cause: error });
}
