import { isIPv6 } from 'node:net';

/** Who an address stands for, as a socket has it; of IPv6 its /64 network, of which one machine may use any address. */
export function peerOf(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (!isIPv6(plain)) return plain;
  const [head = '', tail] = plain.split('%', 1)[0]?.split('::', 2) ?? [];
  const heads = head === '' ? [] : head.split(':');
  const tails = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - heads.length - tails.length) }, () => '0');
  return [...heads, ...zeros, ...tails].slice(0, 4).join(':');
}
