import { expect, test } from 'vitest';
import { FlightBudget } from './flight-budget.js';

test('a connection has its own bound', () => {
  const account = new FlightBudget({ perConnectionMax: 1000, totalMax: 100_000 }).account();
  expect(account.allowance()).toBe(1000);
  account.hold(600);
  expect(account.allowance()).toBe(400);
  account.hold(200);
  // What is left is not worth a call.
  expect(account.allowance()).toBe(0);
  account.release(800);
  expect(account.allowance()).toBe(1000);
});

test('past the total each connection still has one request at a time', () => {
  const budget = new FlightBudget({ perConnectionMax: 1000, totalMax: 1500 });
  const [first, second, third] = [budget.account(), budget.account(), budget.account()];
  first.hold(1000);
  expect(second.allowance()).toBe(500);
  second.hold(500);
  expect(third.allowance()).toBe(1);
  third.hold(100);
  expect(third.allowance()).toBe(0);
  expect(budget.held).toBe(1600);
  first.release(1000);
  expect(third.allowance()).toBe(900);
});
