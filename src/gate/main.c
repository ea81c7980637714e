#include "feed/publish.h"
#include "gate/gate.h"
