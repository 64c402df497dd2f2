export {};
export * from './page-service/index.js';
