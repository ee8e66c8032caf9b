// node winston.mjs URL JOB COUNT JSON: COUNT lines through winston-loki, then leave.
import winston from "winston";
import LokiTransport from "winston-loki";

const [url, job, count, json] = process.argv.slice(2);
const transport = new LokiTransport({
  host: url,
  json: json === "json",
  labels: { job, service: "api-server" },
  interval: 1,
  batching: true,
  replaceTimestamp: false,
  gracefulShutdown: false,
  format: winston.format.json(),
  onConnectionError: (error) => {
    console.error(error);
    process.exitCode = 1;
  },
});
const logger = winston.createLogger({ level: "debug", transports: [transport] });
for (let number = 0; number < Number(count); number++) {
  const line = `winston line ${String(number).padStart(5, "0")} 실록`;
  if (number % 10 === 0) logger.error(line);
  else logger.info(line);
}
await transport.flush();
process.exit();
