"""Live video in, social signals out: segments over a WebSocket, analysed by workers, told as they come."""
