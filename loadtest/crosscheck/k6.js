// Sends recorded requests to RerankerService.Rerank at a constant arrival rate. Settings come from the environment.
import { Client, StatusOK } from 'k6/net/grpc';
import { check } from 'k6';
import { SharedArray } from 'k6/data';

const requests = new SharedArray('requests', () => JSON.parse(open(__ENV.REQUESTS)));
const rate = Number(__ENV.RATE);
const warmUp = Number(__ENV.WARM_UP);
const arrivals = (startTime, seconds) => ({
  executor: 'constant-arrival-rate',
  rate,
  timeUnit: '1s',
  startTime: `${startTime}s`,
  duration: `${seconds}s`,
  preAllocatedVUs: Number(__ENV.CLIENTS),
  gracefulStop: '2s',
});

export const options = {
  scenarios: { warm_up: arrivals(0, warmUp), measured: arrivals(warmUp, Number(__ENV.SECONDS)) },
  // A threshold that always holds is how k6 is told to keep a metric of one scenario apart.
  thresholds: { 'grpc_req_duration{scenario:measured}': ['max>=0'], 'checks{scenario:measured}': ['rate>=0'] },
  summaryTrendStats: ['count', 'med', 'p(90)', 'p(95)', 'p(99)', 'max'],
};

const client = new Client();
client.load([__ENV.PROTO], 'reranker/v1/reranker_service.proto');
let connected = false;

export default () => {
  if (!connected) {
    client.connect(__ENV.ADDRESS, { plaintext: true });
    connected = true;
  }
  const request = requests[Math.floor(Math.random() * requests.length)];
  const answer = client.invoke('reranker.v1.RerankerService/Rerank', request, { timeout: __ENV.DEADLINE });
  check(answer, { answered: (found) => found && found.status === StatusOK });
};
