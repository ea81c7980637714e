#include "transport/transport.h"

#include "transport/client.h"
