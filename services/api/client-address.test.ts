import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { clientAddress } from "./client-address.ts";

/** A request from a proxy at 10.0.0.1. */
function from(forwarded: string): IncomingMessage {
  const request = new IncomingMessage(
    Object.defineProperty(new Socket(), "remoteAddress", { value: "10.0.0.1" }),
  );
  request.headersDistinct["x-forwarded-for"] = [forwarded];
  return request;
}

it.each([
  [0, "203.0.113.7", "10.0.0.1"],
  [1, "6.6.6.6, 203.0.113.7", "203.0.113.7"],
  [2, "203.0.113.7 , 10.0.0.2", "203.0.113.7"],
  [3, "203.0.113.7", "203.0.113.7"],
])("with %i proxies trusted, %s says that the client is %s", (trusted, forwarded, expected) => {
  expect(clientAddress(from(forwarded), trusted)).toBe(expected);
});

it.each([
  ["203.0.113.7:50001", "203.0.113.7"],
  ["[2001:db8::1]:50001", "2001:db8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["2001:db8::1", "2001:db8::1"],
  ["unknown", "unknown"],
])("%s is the address %s, whatever port it was", (entry, expected) => {
  expect(clientAddress(from(entry), 1)).toBe(expected);
});
