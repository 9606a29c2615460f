//! HTTP: the OpenAI-compatible API, the chat page, the labeling pages.
