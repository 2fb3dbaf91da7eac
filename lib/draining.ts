import type { ServiceBroker } from "moleculer";

const draining = new WeakSet<ServiceBroker>();

/** Says to all services here that this node is about to stop: it serves on, but wants no new work. */
export const startDraining = (broker: ServiceBroker): void => void draining.add(broker);

/** Whether this node has said that it is not ready any more. */
export const isDraining = (broker: ServiceBroker): boolean => draining.has(broker);
