/* SPDX-License-Identifier: MIT
 *
 * Keys that come twice in one object. jansson keeps the last of them; the earlier ones are marked
 * as shadowed, so that places and values stay side by side.
 */
#include "gateway/config_reader.h"

static void note_member(wr_config_reader *reader, json_t *seen, const wr_json_value *member)
{
    wr_json_key key = wr_json_key_get(&reader->json, member->node);
    if (key.text == NULL) {
        return;
    }
    const json_t *before = json_object_getn(seen, key.text, key.size);
    if (before != NULL) {
        wr_json_node *earlier = &reader->json.nodes[json_integer_value(before)];
        unsigned line = 0, column = 0;
        wr_json_position(&reader->json, earlier->key_start, &line, &column);
        earlier->shadowed = true;
        wr_config_key_problem(
            reader, member, "duplicate key (the same stands in line %u, column %u)", line, column);
    }
    json_t *index = json_integer((json_int_t)(member->node - reader->json.nodes));
    if (json_object_setn_new(seen, key.text, key.size, index) != 0) {
        reader->out_of_memory = true;
    }
    wr_json_key_release(&key);
}

static void report_duplicates(wr_config_reader *reader, const wr_json_value *object)
{
    json_t *seen = json_object();
    wr_json_value member;
    for (bool more = wr_json_first(&reader->json, object, &member); more;
         more = wr_json_next(&reader->json, &member)) {
        note_member(reader, seen, &member);
    }
    reader->out_of_memory = reader->out_of_memory || seen == NULL;
    json_decref(seen);
}

/* As deep as the text's brackets, which jansson bounds. */
void wr_config_find_duplicates(wr_config_reader *reader, const wr_json_value *value)
{
    if (json_is_object(value->json) && json_object_size(value->json) < value->node->count) {
        report_duplicates(reader, value);
    }
    wr_json_value child;
    for (bool more = wr_json_first(&reader->json, value, &child); more;
         more = wr_json_next(&reader->json, &child)) {
        wr_config_find_duplicates(reader, &child);
    }
}
